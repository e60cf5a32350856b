"""Linear jobs on the RTL: bits, counts and cycles, among heads of any kind, with stalls and resets."""

import numpy as np
import pytest

from model.cta import layout, linear_job
from model.cta.config import CTAConfig
from model.cta.stimulus import random_job
from sw.sim.attempts import attempts
from sw.sim.cta import Refused, Session, build
from sw.sim.engine import Script
from tests.model.cta.test_linear_job import drawn
from tests.rtl.test_head import check
from tests.rtl.test_sweep import random_config

CONFIGS = {
    "slices": CTAConfig(b=4, d=8, dw=24, l=8, n=24, tokens=31, exact=9, k0=17, sets=2),
    "one slice": CTAConfig(b=4, d=8, l=5, n=24, k0=17, exact=9, program="weights"),
    "fast": CTAConfig(b=4, d=8, dw=32, l=3, n=24, tokens=31, exact=9, k0=17, sets=2, lanes=4,
                      products="fast"),
    "b above d": CTAConfig(b=16, d=8, dw=16, l=4, n=17, products="fast"),
}


def same(cfg, result, weights, job, reuse, note):
    """Every value, count and cycle."""
    golden = linear_job.run(cfg, weights, job, reuse)
    cycles = linear_job.job_cycles(cfg, len(job.x), reuse=reuse, held=result.held)
    assert np.array_equal(result.y, golden.y), note
    assert result.saturations == golden.saturations, note
    assert (result.cycles, result.phases) == (cycles.total, cycles.phases), note


def in_a_row(cfg, seed, stalls, count, wait=True):
    """Layers of linear jobs with a head before each, which reuses nothing; how many linear jobs."""
    rng, done = np.random.default_rng(seed), []
    session = Session(cfg, Script(seed))
    if stalls:
        session.stall(stalls, seed)
    for _ in range(count):
        head = random_job(cfg, rng, int(rng.integers(1, cfg.n + 1)))
        if rng.random() < 0.7:
            done.append((head, False))
            session.job(*head, index=int(rng.integers(cfg.sets)), wait=wait)
        most = min(cfg.n, cfg.queries)
        rows = int(rng.choice([1, most, rng.integers(1, most + 1)]))
        _, job = drawn(cfg, rng, rows, rng.random() < 0.2)
        for at in range(int(rng.integers(1, 4))):
            weights, _ = drawn(cfg, rng, rows)
            done.append(((weights, job), at > 0))
            session.linear(weights, job, at % cfg.sets, reuse=at > 0, wait=wait)
    results = session.wait().results(build(cfg).run(session.script))
    linear = 0
    for at, (((weights, job), reuse), result) in enumerate(zip(done, results, strict=True)):
        note = f"seed {seed}, job {at}"
        if isinstance(job, linear_job.LinearJob):
            same(cfg, result, weights, job, reuse, note)
            linear += 1
        else:
            check(cfg, weights, job, result, note)
    return linear


@pytest.mark.parametrize("wait", [True, False], ids=["in turn", "overlapped"])
@pytest.mark.parametrize("stalls", [0.0, 0.3])
@pytest.mark.parametrize("name", CONFIGS)
def test_among_heads(name, stalls, wait):
    assert in_a_row(CONFIGS[name], 5, stalls, 8, wait) >= 8


@pytest.mark.reliability
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.nightly)
                                       for seed in range(1, 16))])
def test_random_configurations(seed, tried):
    cfg = next(cfg for cfg in map(random_config, range(100 * seed + 7, 100 * seed + 99))
               if cfg.program.linear)
    tried("linear jobs", configurations=1, jobs=in_a_row(cfg, seed, 0.2 * (seed % 2), 6, seed % 4 > 1))


@pytest.mark.parametrize("name", ["slices", "fast"])
def test_a_reset_at_any_cycle(name):
    """The next linear job is as if nothing had been."""
    cfg, rng = CONFIGS[name], np.random.default_rng(8)
    weights, cut = drawn(cfg, rng, 7)
    after = linear_job.LinearJob(drawn(cfg, rng, 5)[1].x, cut.shift)
    due = linear_job.job_cycles(cfg, 7).total + 7 * cfg.groups + 8
    session = Session(cfg, Script(2)).load(linear_job.weight_loads(cfg, weights))
    session.reset(0)
    for at in range(due):
        session.load(linear_job.token_loads(cut)).linear(weights, cut, reload=False, wait=False).reset(at)
        session.load(linear_job.token_loads(after)).linear(weights, after, reload=False).reset(0)
    session.jobs.clear()
    parts = attempts(build(cfg).run(session.script))[2:]
    assert len(parts) == 2 * due
    for at, part in enumerate(parts[::2]):
        session.jobs = [linear_job.job_fields(after)]
        (result,) = session.results(part)
        same(cfg, result, weights, after, False, f"reset in cycle {at}")


def test_what_a_program_without_them_answers():
    cfg = CTAConfig(b=4, d=8, l=2, n=20)
    weights, job = drawn(cfg, np.random.default_rng(3), 4)
    session = Session(cfg, Script(1)).linear(weights, job)
    head = random_job(cfg, np.random.default_rng(4), 9)
    session.job(*head)
    refused, result = session.results(build(cfg).run(session.script))
    assert isinstance(refused, Refused) and refused.code.name == "LINEAR"
    check(cfg, *head, result, "behind a refused linear job")


def test_clusters_of_a_head_are_not_rows():
    """A linear job reuses only the rows of a linear job, and a head no rows."""
    cfg = CONFIGS["slices"]
    weights, job = drawn(cfg, np.random.default_rng(3), 9)
    own, head = random_job(cfg, np.random.default_rng(4), 9)
    session = Session(cfg, Script(1)).job(own, head)
    session.linear(weights, job, reuse=True).linear(weights, job).job(own, head, reuse=True, mode=1)
    session.linear(weights, job, 1, reuse=True)
    first, *codes, last = session.results(build(cfg).run(session.script))
    assert [type(one).__name__ for one in codes] == ["Refused", "LinearResult", "Refused"]
    check(cfg, own, head, first, "the head")
    same(cfg, codes[1], weights, job, False, "rows")
    same(cfg, last, weights, job, True, "the same rows")
    assert layout.JOB_FIELDS[8] == ("linear", 1)
