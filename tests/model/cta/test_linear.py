"""Linears against rationals: slices, bias, negative ties, saturation."""

import numpy as np
import pytest

from model.cta.config import CTAConfig
from model.cta.linear import betas, linear
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


@pytest.mark.parametrize("seed", range(20))
def test_fast_inner_products(seed):
    """With betas and alphas off they are the plain ones modulo the accumulator, with extremes, for any number
    of pairs of slices."""
    rng = np.random.default_rng(seed)
    cfg = CTAConfig(b=4, d=8, dw=16 * int(rng.integers(1, 9)), n=4, products="fast")
    f, d = cfg.fmt, cfg.d

    def raw(fmt, *shape):
        return np.where(rng.random(shape) < 0.4, rng.choice((fmt.min, fmt.max), shape),
                        rng.integers(fmt.min, fmt.max + 1, shape))

    c, w, bias = raw(f.centroid, 5, cfg.dw), raw(f.weight, cfg.dw, 3), raw(f.bias, 3)
    total = np.broadcast_to(bias + betas(cfg, w), (5, 3))
    for at in range(0, cfg.dw, 2 * d):
        x_a, x_b, w_a, w_b = (each for pair in ((c[:, at:at + d], c[:, at + d:at + 2 * d]),
                                                (w[at:at + d].T, w[at + d:at + 2 * d].T)) for each in pair)
        total = total + ((x_a[:, None] + w_b) * (x_b[:, None] + w_a)).sum(axis=-1)
        total = total - (x_a * x_b).sum(axis=-1)[:, None]
    wrapped = (total - cfg.acc.min) % (1 << cfg.acc.width) + cfg.acc.min
    assert np.array_equal(wrapped, c @ w + bias)
    assert np.array_equal(linear(cfg, c, w, bias, 0)[0], np.clip(wrapped, f.qkv.min, f.qkv.max))
