"""Exponentials over their whole range, aggregation by the loop of Fig. 6, normalisation."""

from dataclasses import replace

import numpy as np
import pytest

from model.cta.config import CTAConfig, CTAFormats
from model.cta.probability import aggregate, exp2, normalise
from model.fixed import Format
from tests.model.cta import oracle

CFG = CTAConfig(b=2, d=8, n=64)


def test_exp2_over_all_sums_of_two_scores():
    e = np.arange(2 * CFG.fmt.score.min, 2 * CFG.fmt.score.max + 1)
    p, moved = exp2(CFG, e)
    count = oracle.Counter()
    # Away from the ends nothing but zero and the maximum is left; the oracle is slow.
    inside = (e >= -64 * 20) & (e < 64 * 20)
    want = [count.hold(oracle.exp2(CFG, int(v)), CFG.fmt.prob) for v in e[inside]]
    assert p[inside].tolist() == want
    assert int(moved[inside].sum()) == count.moved
    assert (p[e < -64 * 20] == 0).all() and not moved[e < -64 * 20].any()
    assert (p[e >= 64 * 20] == CFG.fmt.prob.max).all() and moved[e >= 64 * 20].all()


def test_exp2_is_close():
    e = np.arange(-64 * 13, 64 * 12)
    p, moved = exp2(CFG, e)
    exact = 2.0**(e / 64) * 2**CFG.fmt.prob.frac
    # Half a unit of the result, and 2**-12 of it for half a unit of the table entry.
    assert (np.abs(p - exact) <= 0.5 + exact * 2.0**-12).all()
    assert not moved.any()
    assert (np.diff(p) >= 0).all()


@pytest.mark.parametrize("score, prob", [(Format(True, 14, 4), Format(False, 20, 10)),
                                         (Format(True, 16, 8), Format(False, 28, 16))])
def test_exp2_in_other_formats(score, prob):
    cfg = replace(CFG, fmt=replace(CTAFormats(), score=score, prob=prob))
    e = np.arange(2 * score.min, 2 * score.max, 7)
    count = oracle.Counter()
    p, moved = exp2(cfg, e)
    assert p.tolist() == [count.hold(oracle.exp2(cfg, int(v)), prob) for v in e]
    assert int(moved.sum()) == count.moved


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("n", [1, 2, 7, 32])
@pytest.mark.parametrize("seed", range(4))
def test_aggregate_and_normalise(n, exact, seed):
    rng = np.random.default_rng(seed)
    k1, k2 = (n, 1) if exact else rng.integers(1, n + 1, 2)
    ct1 = np.arange(n) if exact else rng.integers(0, k1, n)
    ct2 = np.zeros(n, dtype=np.int64) if exact else rng.integers(0, k2, n)
    reach = int(64 * rng.choice([0.5, 4, 20]))
    s = rng.integers(-reach, reach, (5, k1 + k2))
    banks, saturated = aggregate(CFG, s, ct1, ct2, k1, exact)
    want, want_saturated = oracle.aggregate(CFG, s, ct1, ct2, k1, exact)
    assert banks.tolist() == want and saturated == want_saturated, f"seed {seed}"
    assert CFG.ap_bank.holds(banks).all()
    ap = normalise(CFG, banks)
    assert ap.tolist() == oracle.normalise(CFG, want), f"seed {seed}"
    assert CFG.fmt.ap.holds(ap).all()
    if not exact:
        # Every exponential is in either level once.
        assert np.array_equal(banks[:, :, :k1].sum(axis=2), banks[:, :, k1:].sum(axis=2))


def test_saturated_exponentials_count_one_by_one():
    s = np.full((2, 2), 1000)
    banks, saturated = aggregate(CFG, s, np.zeros(3, np.int64), np.zeros(3, np.int64), 1)
    top = CFG.fmt.prob.max
    assert saturated == 6
    assert banks.tolist() == [[[2 * top, 2 * top]] * 2, [[top, top]] * 2]


@pytest.mark.parametrize("even, odd, ap", [
    (0, 0, 0), (1, 0, 1), (1023, 1023, 2046),       # below the format: as it is
    (1024, 0, 512), (1024, 1023, 1024),             # the larger bank decides, 2047/2 rounds up
    (2047, 2047, 2047), (2**20 - 1, 2**20 - 1, 2047),    # rounding would reach 2048
    (2**20 - 1, 0, 1024), (2**20, 2**20, 1024),
])
def test_normalise(even, odd, ap):
    assert normalise(CFG, np.array([[[even]], [[odd]]])).tolist() == [[ap]]


def test_each_row_has_its_own_shift():
    banks = np.array([[[3, 1], [2**20, 2**10]], [[0, 0], [0, 0]]])
    assert normalise(CFG, banks).tolist() == [[3, 1], [512, 1]]
