"""Scores against rationals; the maximum is subtracted once, from level 2 alone."""

import numpy as np
import pytest

from model.cta.config import CTAConfig
from model.cta.score import scores
from tests.model.cta import oracle

CFG = CTAConfig(b=2, d=8, n=16)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("k0, k1, k2", [(1, 1, 1), (5, 9, 4), (3, 1, 7)])
@pytest.mark.parametrize("seed", range(4))
def test_scores(k0, k1, k2, exact, seed):
    rng = np.random.default_rng(seed)
    q = rng.integers(-2048, 2048, (k0, CFG.d))
    k = rng.integers(-2048, 2048, (k1 if exact else k1 + k2, CFG.d))
    shift = int(rng.integers(6, 14))
    s, saturated = scores(CFG, q, k, k1, shift, exact)
    assert s.shape == (k0, k1 + (1 if exact else k2))
    assert (s.tolist(), saturated) == oracle.scores(CFG, q, k, k1, shift, exact), f"seed {seed}"


def test_a_score_may_saturate_twice():
    q, k = np.full((1, 8), 2047), np.stack([np.full(8, 2047), np.full(8, -2048)])
    s, saturated = scores(CFG, q, k, 1, 0)
    assert s.tolist() == [[32767, -32768]] and saturated == 3


def test_exact_mode_negates_the_maximum():
    q = np.full((1, 8), 2047)
    s, saturated = scores(CFG, q, np.full((2, 8), -2048), 2, 0, exact=True)
    # -(-32768) is one more than the format holds.
    assert s.tolist() == [[-32768, -32768, 32767]] and saturated == 3
    s, saturated = scores(CFG, q, np.stack([np.full(8, 1), np.full(8, 2)]), 2, 3, exact=True)
    assert s.tolist() == [[2047, 4094, -4094]] and saturated == 0
