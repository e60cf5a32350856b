"""SLIDE without a rehash equals the dense network on the neurons that it selects, and nothing else."""

import pytest
import torch

from sw.nn.ffn.mongoose import MongooseFFN
from sw.nn.ffn.slide import SlideFFN
from sw.studies.bench.cpu_rivals.hashed import Frozen


@pytest.mark.parametrize("kind", [SlideFFN, MongooseFFN])
@pytest.mark.parametrize("tokens", [1, 7, 16])
def test_equals_the_dense_network_on_the_selected_neurons(kind, tokens):
    torch.manual_seed(tokens)
    layer = kind(24, 64, bits=4, tables=2, per_pass=8, seed=0).eval()
    torch.nn.init.normal_(layer.up_bias)
    torch.nn.init.normal_(layer.out_bias)
    x, frozen = torch.randn(tokens, 24), Frozen(torch, layer)
    with torch.inference_mode():
        signs = torch.cat([x, torch.ones(tokens, 1)], 1) @ layer.projection > 0
        keys = torch.cat([layer.up, layer.up_bias[:, None]], 1) @ layer.projection > 0
        alike = (signs[:, None] == keys[None]).unflatten(-1, (2, 4)).all(-1).any(-1)     # (t, d_ff)
        for begin in range(0, tokens, 8):
            here = slice(begin, begin + 8)
            chosen = alike[here].any(0)
            assert 0 < chosen.sum() < 64
            inner = torch.nn.functional.gelu(x[here] @ layer.up.T + layer.up_bias) * chosen
            torch.testing.assert_close(frozen(x)[here], inner @ layer.down + layer.out_bias,
                                       rtol=1e-5, atol=1e-5)
