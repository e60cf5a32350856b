"""The torch twin of the LookupFFN pipeline against the golden model, tensor by tensor."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.errors import ConfigError
from model.fixed import Format
from model.lookup import layer, reference
from model.lookup.config import LookupConfig, LookupFormats
from model.lookup.job import Saturation
from model.lookup.stimulus import PATTERNS, patterned_job, random_job
from sw.quant import lookup_stages

NARROW = LookupFormats(x=Format(True, 6, 4), weight=Format(True, 5, 4), stage=Format(True, 8, 5),
                       mix=Format(False, 5, 4), z_bias=Format(True, 12, 7), z=Format(True, 9, 5),
                       score=Format(False, 7, 3), table=Format(True, 4, 3),
                       out_bias=Format(True, 16, 8), output=Format(True, 9, 4))
CONFIGS = {
    "bh4": LookupConfig(d=32, h=10, tau=6, block=8),
    "padded": LookupConfig(d=24, h=5, tau=4, block=8),
    "one bit": LookupConfig(d=16, h=40, tau=1, block=16),
    "dense": LookupConfig(d=24, h=7, tau=5, projection="dense"),
    "plain": LookupConfig(d=32, h=6, tau=3, gelu_scaled=False),
    "neighbours": LookupConfig(d=16, h=9, tau=4, neighbours=True),
    "plain neighbours": LookupConfig(d=16, h=4, tau=7, neighbours=True, gelu_scaled=False),
    "residual": LookupConfig(d=16, h=4, tau=7, residual=True),
    "narrow": LookupConfig(d=32, h=10, tau=6, block=8, fmt=NARROW),
}


def real(array):
    return None if array is None else torch.from_numpy(np.asarray(array, dtype=np.float64))


def raw_layer(weights, job):
    shifts = {name: None if getattr(weights, name) is None else
              torch.from_numpy(np.asarray(getattr(weights, name)))
              for name in ("shift_z", "shift_s", "shift_block", "shift_hadamard")}
    return lookup_stages.RawLayer(
        **{name: real(getattr(weights, name)) for name in ("w", "z_bias", "tables", "out_bias")},
        **shifts, **{name: getattr(job, name) for name in ("gain", "skip", "shift_skip",
                                                           "shift_y")})


def compare(cfg, weights, job):
    got = lookup_stages.trace(cfg, raw_layer(weights, job), real(job.x), real(job.residual))
    got["log_weights"] = lookup_stages.log_weight(cfg, got["z"])
    want = layer.trace(cfg, weights, job)
    assert set(want) - set(got) == {"rows", "table_bytes"}
    for name, mine in got.items():
        if name == "saturations":
            assert {kind: int(count) for kind, count in mine.items()} == want[name]
        elif want[name] is None:
            assert mine is None
        else:
            assert np.array_equal(mine.numpy(), want[name]), name
    return got


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("saturating", [False, True])
def test_every_tensor_is_golden(name, saturating):
    cfg, rng = CONFIGS[name], np.random.default_rng(len(name))
    for t in (1, 2, 33):
        for spread in (0.5, 2.0):
            compare(cfg, *random_job(cfg, rng, t, saturating, spread))


@pytest.mark.parametrize("name", ["bh4", "dense", "neighbours", "plain"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns(name, pattern):
    cfg = CONFIGS[name]
    compare(cfg, *patterned_job(cfg, np.random.default_rng(8), pattern, 9))


def test_something_was_at_stake():
    seen = dict.fromkeys(Saturation, 0)
    for cfg in CONFIGS.values():
        got = compare(cfg, *random_job(cfg, np.random.default_rng(1), 40, True))
        seen = {kind: seen[kind] + int(got["saturations"][kind]) for kind in seen}
    assert all(seen.values()), seen


def test_formats_beyond_float64_are_refused():
    for cfg in (LookupConfig(), LookupConfig(d=2048, h=1024, tau=16, neighbours=True)):
        lookup_stages.check_exact(cfg)
    with pytest.raises(ConfigError, match="gather_acc.width is 61, must be at most 53"):
        wide = replace(LookupFormats(), out_bias=Format(True, 60, 14))
        lookup_stages.check_exact(LookupConfig(fmt=wide))


@pytest.mark.parametrize("name", ["bh4", "plain", "neighbours", "plain neighbours"])
def test_gradient_of_the_score(name):
    """That of the real weight, where the tables are fine enough to follow it."""
    cfg = CONFIGS[name]
    z, _ = cfg.fmt.z.quantise(np.random.default_rng(2).normal(0, 1.0, (50, cfg.codes)))
    at = torch.from_numpy(z.astype(float)).requires_grad_()
    point = cfg.score_point - 10
    s, moved = lookup_stages.scores(cfg, at, torch.full((cfg.h,), 10))
    assert not moved
    weight = torch.from_numpy(np.random.default_rng(3).normal(size=s.shape))
    (s * weight).sum().backward()
    size = torch.from_numpy(cfg.fmt.z.real(z)).requires_grad_()
    by_table = size.reshape(50, cfg.h, cfg.tau).abs()
    plain = torch.exp(-torch.log1p(torch.exp(-2 * by_table)).sum(2, keepdim=True))
    inner = by_table.sum(2, keepdim=True)
    if cfg.neighbours:
        plain = torch.cat([plain, plain * torch.exp(-2 * by_table)], 2)
        inner = torch.cat([inner, inner - 2 * by_table], 2)
    want = (inner if cfg.gelu_scaled else 1) * plain
    assert np.allclose(want.detach(), reference.weights_of(cfg, size.detach().numpy()))
    (want * weight).sum().backward()
    mine = at.grad * 2.0 ** (cfg.fmt.z.frac - point)
    assert torch.linalg.norm(mine - size.grad) / torch.linalg.norm(size.grad) < 0.02
