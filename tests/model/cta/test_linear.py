"""Linears against rationals: slices, bias, negative ties, saturation."""

import numpy as np
import pytest

from model.cta.config import CTAConfig
from model.cta.linear import linear
from tests.model.cta import oracle

CONFIGS = [CTAConfig(b=2, d=8, n=8), CTAConfig(b=2, d=8, dw=32, n=8)]


@pytest.mark.parametrize("cfg", CONFIGS)
@pytest.mark.parametrize("seed", range(6))
def test_linear(cfg, seed):
    rng = np.random.default_rng(seed)
    f = cfg.fmt
    c = rng.integers(f.centroid.min, f.centroid.max + 1, (5, cfg.dw))
    w = rng.integers(f.weight.min, f.weight.max + 1, (cfg.dw, cfg.d))
    bias = rng.integers(f.bias.min, f.bias.max + 1, cfg.d) if seed % 2 else None
    shift = int(rng.integers(0, 18))
    y, saturated = linear(cfg, c, w, bias, shift)
    assert (y.tolist(), saturated) == oracle.linear(cfg, c, w, bias, shift), f"seed {seed}"


def test_negative_ties_go_up():
    cfg = CONFIGS[0]
    c = np.array([[-3], [-1], [1], [3]]) * (np.arange(8) == 0)
    y, saturated = linear(cfg, c, np.eye(8, dtype=np.int64), None, 1)
    assert y[:, 0].tolist() == [-1, 0, 1, 2] and saturated == 0


def test_no_rows():
    unit = np.eye(8, dtype=np.int64)
    y, saturated = linear(CONFIGS[0], np.zeros((0, 8), np.int64), unit, None, 0)
    assert y.shape == (0, 8) and saturated == 0
