"""Other programs than Table I through the whole of generator, Verilog and models: outputs of the golden
model, cycles of the cycle model."""

import dataclasses

import numpy as np
import pytest

from model.cta import stimulus
from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.job import Mode
from model.cta.schedule import Op
from sw.sim.cta import run_jobs
from tests.model.cta.programs import ORDERS, program
from tests.rtl.test_head import check

SHAPES = {"plain": CTAConfig(b=4, d=8, l=2, n=24, tokens=48),
          "narrow": CTAConfig(b=2, d=8, dw=24, l=5, n=20, tokens=40, pag=2, sets=2, lanes=4, digit=4)}

CASES = [("plain", (1, 2, 0), False)]
CASES += [pytest.param(name, order, overlap, marks=pytest.mark.nightly) for name in SHAPES
          for order in ORDERS for overlap in (True, False) if (name, order, overlap) not in CASES]


@pytest.mark.parametrize("name, order, overlap", CASES)
def test_other_programs(name, order, overlap):
    cfg = dataclasses.replace(SHAPES[name], program=program(order, overlap, (Op.V, Op.SCORE)))
    rng, jobs = np.random.default_rng(9), []
    for mode in Mode:
        limit = cfg.n if mode is Mode.CTA else cfg.exact
        for n, m in ((1, None), (1, limit), (limit, 1), (limit, None), (limit - 3, limit // 2)):
            jobs.append(stimulus.random_job(cfg, rng, n, m, mode=mode))
            weights, job = stimulus.random_job(cfg, rng, n, m, mode=mode)
            lsh = tuple(dataclasses.replace(one, a=weights.lsh[0].a) for one in weights.lsh)
            jobs.append((dataclasses.replace(weights, lsh=lsh), job))      # A is loaded once
    for at, ((weights, job), result) in enumerate(zip(jobs, run_jobs(cfg, jobs, stalls=0.2, seed=9),
                                                      strict=True)):
        check(cfg, weights, job, result, f"{name}, {order}, job {at}")


def test_the_program_shows_in_the_cycles():
    """The cases above would not hold Table I to be right: their cycles are others."""
    for cfg in SHAPES.values():
        other = dataclasses.replace(cfg, program=program((1, 2, 0), overlap=False))
        assert head_cycles(cfg, 20, 20, 9, 8, 7).total < head_cycles(other, 20, 20, 9, 8, 7).total
