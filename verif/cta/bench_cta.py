"""The whole accelerator: jobs back to back under every stall pattern, refusals, reset in mid-job."""

import cocotb
import numpy as np

from model.cta import head, layout, stimulus
from model.cta.cycles import head_cycles
from model.cta.job import Mode
from verif.cta.driver import Refused, Session
from verif.engine import Script
from verif.play import play
from verif.bench import config, seed
from verif.streams import STALLS, start

INPUTS, OUTPUTS = ("load", "data", "job"), ("out", "status")


def some_jobs(cfg, rng):
    """A random self-attention, a cross-attention and an exact job, and one pattern."""
    def size(limit=cfg.n):
        return int(rng.integers(1, limit + 1))

    limit = min(cfg.k0, cfg.k1)
    return [stimulus.random_job(cfg, rng, size()),
            stimulus.random_job(cfg, rng, size(), size(), saturating=True),
            stimulus.random_job(cfg, rng, size(limit), size(limit), mode=Mode.EXACT),
            stimulus.patterned_job(cfg, rng, str(rng.choice(stimulus.PATTERNS)), size())]


def check(cfg, weights, job, result, note):
    """Bits against the golden model, cycles against the cycle model."""
    golden = head.run(cfg, weights, job)
    for name in ("o", "ct0", "ct1", "ct2"):
        np.testing.assert_array_equal(getattr(result, name), getattr(golden, name), err_msg=note)
    for name in ("k0", "k1", "k2", "overflow", "zero_rows", "saturations"):
        assert getattr(result, name) == getattr(golden, name), f"{name}: {note}"
    m = len(job.xkv if job.xq is None else job.xq)
    cycles = head_cycles(cfg, len(job.xkv), m, golden.k0, golden.k1, golden.k2, job.mode,
                         weights.shared_a)
    assert (result.cycles, result.phases) == (cycles.total, cycles.phases), note


@cocotb.test()
@cocotb.parametrize(stalls=tuple(STALLS))
async def jobs_back_to_back(dut, stalls):
    cfg, note = config(), f"stalls {stalls}, seed {seed()}"
    jobs = some_jobs(cfg, np.random.default_rng([seed(), *map(ord, stalls)]))
    session = Session(cfg, Script(seed()))
    for at, stream in enumerate(INPUTS + OUTPUTS):
        session.script.stall(stream, *STALLS[stalls], seed=seed() + at)
    for weights, job in jobs:
        session.job(weights, job)
    await start(dut)
    run = await play(dut, session.script, INPUTS, OUTPUTS)
    for at, (result, (weights, job)) in enumerate(zip(session.results(run), jobs, strict=True)):
        check(cfg, weights, job, result, f"job {at}, {note}")


@cocotb.test()
async def refusals_leave_the_engine_usable(dut):
    cfg = config()
    weights, job = stimulus.random_job(cfg, np.random.default_rng(seed()), cfg.n)
    session = Session(cfg, Script(seed())).job(weights, job)
    for wrong in ({"n": 0}, {"n": cfg.n + 1, "m": cfg.n + 1}, {"set": cfg.sets}):
        session.job(weights, job, reload=False, **wrong)
    session.job(weights, job)
    await start(dut)
    first, *refused, last = session.results(await play(dut, session.script, INPUTS, OUTPUTS))
    assert all(isinstance(r, Refused) for r in refused), f"seed {seed()}"
    for result in (first, last):
        check(cfg, weights, job, result, f"seed {seed()}")


@cocotb.test()
async def reset_in_mid_job(dut):
    cfg, rng = config(), np.random.default_rng(seed())
    weights, job = stimulus.random_job(cfg, rng, cfg.n)
    session = Session(cfg, Script(seed()))
    for _ in range(3):
        session.job(weights, job, wait=False).reset(int(rng.integers(1, 600)))
        loads = layout.weight_loads(weights) + layout.token_loads(job)
        session.load(loads, wait=False).reset(int(rng.integers(1, 150)))
    session.jobs.clear()
    await start(dut)
    await play(dut, session.script, INPUTS, OUTPUTS)
    after = Session(cfg, Script(seed())).job(weights, job)
    result, = after.results(await play(dut, after.script, INPUTS, OUTPUTS))
    check(cfg, weights, job, result, f"seed {seed()}")
