"""FakeLookup on a LookupFFN: the integers of the golden model, and useful gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.errors import ConfigError
from model.lookup import layer as golden
from model.lookup.config import LookupConfig
from model.lookup.job import Saturation
from sw.nn.ffn.lookup import LookupFFN
from sw.quant.lookup import FakeLookup, engine
from sw.quant.observe import LookupRecorder, Rule

D, H, TAU, BLOCK = 24, 12, 4, 8
LAYERS = {
    "bh4": {}, "dense": {"projection": "dense", "block": 0}, "plain": {"gelu_scaled": False},
    "neighbours": {"neighbours": True}, "skip": {"gain": 0.25, "skip": 1.5},
}


def layer(**options):
    ffn = LookupFFN(D, H, TAU, **{"block": BLOCK, "seed": 3} | options)
    with torch.no_grad():
        ffn.tables *= torch.exp2(torch.linspace(-2, 2, H))[:, None, None]
        ffn.z_bias.normal_(std=0.2, generator=torch.Generator().manual_seed(1))
        (ffn.dense if hasattr(ffn, "dense") else ffn.blocks).mul_(1.3)
    return ffn


def tokens(*shape):
    return torch.randn(*shape, D, generator=torch.Generator().manual_seed(7))


def calibrated(ffn, x, rule=Rule(), **options):
    recorder = ffn.fake = LookupRecorder(ffn, rule)
    ffn(x)
    cfg = engine(ffn, **options)
    ffn.fake = FakeLookup(cfg, recorder.points(ffn, cfg))
    return ffn.fake


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("rule", [Rule(), Rule("percentile", 99.9), Rule("mse")])
def test_bit_equal_to_the_golden_model(name, rule):
    ffn, x = layer(**LAYERS[name]), tokens(3, 10)
    fake = calibrated(ffn, x, rule)
    got, export = ffn(x), fake.layer(ffn)
    result = golden.run(export.cfg, export.weights,
                        export.job(export.tokens(x.reshape(-1, D).numpy())))
    assert got.shape == x.shape and got.dtype == torch.float32
    assert np.array_equal(got.detach().numpy().reshape(-1, D), export.output(result.y))
    assert {kind: int(fake.saturations[kind]) for kind in Saturation} == result.saturations
    assert export.weights.tables.dtype == np.int8
    ffn.fake = None
    assert torch.linalg.norm(ffn(x) - got) / torch.linalg.norm(got) < 0.2


def test_weights_are_quantised_as_they_are_now():
    ffn, x = layer(), tokens(40)
    fake = calibrated(ffn, x, multipliers=16)
    assert fake.cfg.multipliers == 16
    with torch.no_grad():
        ffn.tables[3, 2] = 9.0
        ffn.blocks[0, 1, 2] *= -5
        ffn.z_bias[4] = -100.0
        ffn.out_bias += 1
    export = fake.layer(ffn)
    want = golden.run(export.cfg, export.weights, export.job(export.tokens(x.numpy())))
    assert np.array_equal(ffn(x).detach().numpy(), export.output(want.y))
    assert want.saturations[Saturation.Z]


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_reach_everything(name):
    """Nearly those of the float layer, at tokens that take the same rows."""
    ffn, x, got = layer(**LAYERS[name]), tokens(200), {}
    fake = calibrated(ffn, x)
    with torch.no_grad():
        z = ffn.project(x)
        x = x[z.abs().flatten(1).amin(1) > 0.004]
    assert len(x) > 50
    for kind, hook in (("fake", fake), ("float", None)):
        ffn.fake = hook
        ffn.zero_grad()
        at = x.clone().requires_grad_()
        (ffn(at) ** 2).sum().backward()
        got[kind] = {"x": at.grad, **{key: p.grad for key, p in ffn.named_parameters()}}
    for key, want in got["float"].items():
        a, b = got["fake"][key].flatten(), want.flatten()
        assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.98, key
        assert torch.linalg.norm(a) / torch.linalg.norm(b) == pytest.approx(1, abs=0.1), key


def test_what_the_engine_cannot_take_is_refused():
    ffn, x = layer(), tokens(5)
    with pytest.raises(ConfigError, match="residual is True"):
        engine(ffn, residual=True)
    with pytest.raises(ConfigError, match="tau is 3, must be 4 as in the layer"):
        engine(ffn, tau=3)
    with pytest.raises(ConfigError, match="projection is Linear"):
        engine(LookupFFN(D, H, TAU, torch.nn.Linear(D, H * TAU)))
    fake = calibrated(ffn, x)
    other = LookupFFN(D, H + 1, TAU, block=BLOCK)
    other.fake = fake
    with pytest.raises(ValueError, match="the layer has d, h, tau = 24, 13, 4, must be 24, 12, 4"):
        other(x)
    with pytest.raises(ValueError, match="shift_block is in -28..9, must be in 0..31"):
        FakeLookup(LookupConfig(d=D, h=H, tau=TAU, block=BLOCK), replace(fake.points, x=-25))
