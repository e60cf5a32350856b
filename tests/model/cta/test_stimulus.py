"""Jobs made to order are what they are said to be."""

import numpy as np
import pytest

from model.cta import head
from model.cta.bucket import bucket_fields, bucket_limits
from model.cta.config import CTAConfig
from model.cta.job import Mode, Saturation
from model.cta.stimulus import PATTERNS, operating_point, patterned_job, random_job

SMALL = CTAConfig(b=2, d=8, dw=16, l=3, n=33, tokens=66, k0=33, k1=33, k2=33)
CONFIGS = [SMALL, CTAConfig(b=4, d=16, l=8, n=40, tokens=47),
           CTAConfig(b=32, d=8, l=1, n=17, tokens=24),
           CTAConfig(b=2, d=8, dw=128, l=6, n=64, tokens=71, k0=10, k1=12, k2=5)]


@pytest.mark.parametrize("cfg", CONFIGS, ids=lambda c: f"b{c.b}d{c.d}dw{c.dw}l{c.l}n{c.n}")
@pytest.mark.parametrize("saturating", [False, True])
def test_random_jobs_are_legal(cfg, saturating):
    seen = dict.fromkeys(Saturation, 0)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        weights, job = random_job(cfg, rng, cfg.n, [None, 7][seed % 2], saturating=saturating)
        result = head.run(cfg, weights, job)
        for kind, count in result.saturations.items():
            seen[kind] += count
    if saturating:
        assert all(seen[kind] for kind in (Saturation.CENTROID, Saturation.HASH, Saturation.LINEAR,
                                           Saturation.OUTPUT)), seen
    else:
        assert sum(seen.values()) < 0.01 * 6 * result.o.size, seen


@pytest.mark.parametrize("pattern, k", [("equal", 1), ("alternating", 2), ("distinct", 33)])
def test_patterns(pattern, k):
    result = head.run(SMALL, *patterned_job(SMALL, np.random.default_rng(5), pattern, 33))
    assert (result.k0, result.k1) == (k, k)


@pytest.mark.parametrize("mode", Mode)
def test_every_pattern_runs(mode):
    for pattern in PATTERNS:
        for n, m in ((1, None), (33, 5), (5, 33)):
            weights, job = patterned_job(SMALL, np.random.default_rng(n), pattern, n, m, mode)
            assert head.run(SMALL, weights, job).o.shape == (n if m is None else m, SMALL.d)


@pytest.mark.parametrize("k0, k1, k2", [(322, 258, 29), (272, 239, 26), (200, 217, 24)])
def test_operating_points_of_the_paper(k0, k1, k2):
    cfg = CTAConfig()
    weights, job = operating_point(cfg, k0, k1, k2, cfg.n)
    result = head.run(cfg, weights, job)
    assert (result.k0, result.k1, result.k2) == (k0, k1, k2)
    assert weights.shared_a
    assert sum(result.saturations.values()) == 0 and result.overflow == (0, 0, 0)


@pytest.mark.parametrize("l", [1, 2, 8])
@pytest.mark.parametrize("k", [(1, 1, 1), (16, 16, 16), (8, 3, 8), (5, 16, 2)])
def test_any_counts(l, k):  # noqa: E741
    cfg = CTAConfig(b=2, d=8, l=l, n=16)
    result = head.run(cfg, *operating_point(cfg, *k, 16, seed=3))
    assert (result.k0, result.k1, result.k2) == k


def test_counts_above_capacity_overflow():
    cfg = CTAConfig(b=2, d=8, n=64, k0=10, k1=12, k2=5)
    result = head.run(cfg, *operating_point(cfg, 20, 20, 20, 64))
    assert (result.k0, result.k1, result.k2) == (10, 12, 5)
    assert all(result.overflow)


def test_impossible_counts_are_named():
    with pytest.raises(ValueError, match="k1 is 17, must be in 1..16"):
        operating_point(SMALL, 1, 17, 1, 16)
    with pytest.raises(ValueError, match="300, 300, 1 could not be met"):
        operating_point(CTAConfig(b=2, d=8, l=1, n=512), 300, 300, 1, 512)
    with pytest.raises(ValueError, match="pattern is 'odd'"):
        patterned_job(SMALL, np.random.default_rng(0), "odd", 3)


def test_bucket_fields_divide():
    cfg = CTAConfig()
    rng = np.random.default_rng(1)
    for _ in range(200):
        bound = int(2 ** rng.uniform(8, 30))
        low, high = bucket_limits(cfg, bound)
        w = np.exp(rng.uniform(np.log(low), np.log(high)))
        inv_w, pre, post = bucket_fields(cfg, w, bound)
        assert cfg.fmt.multiplier.holds(inv_w) and 0 <= post <= 31
        assert bound >> pre <= cfg.fmt.ppe.max
        assert abs(inv_w / 2.0 ** (pre + post) * w - 1) < 2.0 ** -11
        if bound >> 17 == 0:
            assert pre == 0
    for w in (0.0, float("nan"), 1e-9):
        with pytest.raises(ValueError, match="accumulator units"):
            bucket_fields(cfg, w, 100)
