"""Outputs against integers, and the division against the exact quotient."""

from fractions import Fraction

import numpy as np
import pytest

from model.cta.config import CTAConfig
from model.cta.output import outputs
from tests.model.cta import oracle

CFG = CTAConfig(b=2, d=8, n=64)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("k", [1, 2, 9])
@pytest.mark.parametrize("seed", range(10))
def test_outputs(k, exact, seed):
    rng = np.random.default_rng(seed)
    ap = rng.integers(0, 2**rng.integers(0, 12, (6, 1)), (6, k))
    ap[rng.integers(6)] = 0
    v = rng.integers(-2048, 2048, (k, CFG.d))
    shift_o = int(rng.integers(-8, 8))
    o, saturated, zero_rows = outputs(CFG, ap, v, shift_o, exact)
    want = oracle.outputs(CFG, ap, v, shift_o, exact)
    assert (o.tolist(), saturated, zero_rows) == want, f"seed {seed}"


def test_every_denominator_divides_as_well_as_the_table():
    # One weight a row: o = 2 * ap * v / ap = 2 v, off by half a table step (2**-9), half a table
    # unit (2**-12), one unit of the floor under result_guard, and half a unit at the end.
    totals = np.arange(1, 2048)
    for v in (1000, -1000, 1, -1, 777):
        o, saturated, _ = outputs(CFG, totals[:, None], np.full((1, 8), v), 0)
        assert saturated == 0
        error = np.abs(o[:, 0] - 2 * v).max()
        assert error <= 2 * abs(v) * (2**-9 + 2**-11) + 2 / 32 + 0.5, v


def test_against_the_exact_quotient():
    rng = np.random.default_rng(3)
    worst = 0.0
    for _ in range(200):
        ap = rng.integers(0, 2048, (1, 20))
        v = rng.integers(-500, 500, (20, CFG.d))
        o = outputs(CFG, ap, v, 0)[0][0]
        for lane in range(CFG.d):
            exact = Fraction(2 * int(ap[0] @ v[:, lane]), int(ap.sum()))
            worst = max(worst, abs(float(o[lane] - exact)) - 2**-9 * abs(float(exact)))
    assert worst < 0.5 + 2 / 32


def test_a_row_without_weight_is_zero_and_saturates_nothing():
    v = np.full((3, CFG.d), -2048)
    ap = np.array([[0, 0, 0], [0, 1, 0]])
    o, saturated, zero_rows = outputs(CFG, ap, v, -8)
    assert not o[0].any() and zero_rows == 1
    assert (o[1] == CFG.fmt.output.min).all() and saturated == CFG.d


def test_the_factor_of_two_is_for_two_levels():
    ap, v = np.array([[512, 512]]), np.array([[96] * 8, [32] * 8])
    two, one = outputs(CFG, ap, v, 0)[0], outputs(CFG, ap, v, 0, exact=True)[0]
    assert (two == 128).all() and (one == 64).all()
