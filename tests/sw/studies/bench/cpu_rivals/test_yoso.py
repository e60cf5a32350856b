"""YOSO from tables that were built once equals a sum over neurons and hashes."""

import torch

from sw.nn.ffn.yoso import YosoFFN, hd3_codes
from sw.studies.bench.cpu_rivals.yoso import Frozen


def test_equals_a_sum_over_collisions():
    torch.manual_seed(0)
    layer = YosoFFN(16, 24, h=6, tau=3, seed=0).eval()
    torch.nn.init.normal_(layer.out_bias)
    x = 5 * torch.randn(9, 16)
    with torch.inference_mode():
        tokens, neurons = (hd3_codes(v, layer.signs, 3, 6) for v in (x, layer.up))
        collisions = (tokens[:, None] == neurons[None]).sum(-1).float()
        want = torch.nn.functional.normalize(collisions @ layer.down, dim=-1) + layer.out_bias
        assert collisions.max() > 1
        torch.testing.assert_close(Frozen(torch, layer)(x), want, rtol=1e-5, atol=1e-5)
