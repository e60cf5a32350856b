"""The configuration of the paper (b = 8, d = 64, l = 6, n = 512) on the RTL."""

import numpy as np
import pytest

from model.cta import stimulus
from model.cta.config import CTAConfig
from model.cta.cost import OPERATING_POINTS, table1_cycles
from model.cta.job import Mode
from sw.sim.cta import run_job, run_jobs
from tests.rtl.test_head import check

CFG = CTAConfig(sums=2, ahead=False)


@pytest.mark.parametrize("point", OPERATING_POINTS, ids=lambda point: point.name)
def test_operating_point_costs_what_table_1_says(point):
    """Bit exact at the paper's cluster counts, in no more than 1.02 times the cycles of Table I."""
    weights, job = stimulus.operating_point(CFG, point.k0, point.k1, point.k2, 512)
    result = run_job(CFG, weights, job)
    check(CFG, weights, job, result, point.name)
    assert (result.k0, result.k1, result.k2) == (point.k0, point.k1, point.k2)
    assert result.cycles <= 1.02 * table1_cycles(CFG, 512, point.k0, point.k1, point.k2)


def test_exact_attention_and_back():
    """Exact mode at full size between two CTA jobs, with stalls on every stream."""
    rng = np.random.default_rng(4)
    jobs = [stimulus.random_job(CFG, rng, 211, 300),
            stimulus.random_job(CFG, rng, 512, mode=Mode.EXACT),
            stimulus.random_job(CFG, rng, 1)]
    for item, result in zip(jobs, run_jobs(CFG, jobs, stalls=0.2, seed=4), strict=True):
        check(CFG, *item, result, "seed 4")
