"""The whole accelerator: jobs back to back under every stall pattern, refusals, reset in mid-job."""

from dataclasses import astuple, replace

import cocotb
import numpy as np

from model.cta import head, layout, stimulus
from model.cta.cycles import head_cycles
from model.cta.job import ErrorCode, Mode
from model.cta.layout import Parameter, Target
from sw.sim.cta import Refused, Session
from sw.sim.engine import Script
from verif.actors import STALLS
from verif.bench import config, seed
from verif.cycle import outputs_are_known, start
from verif.play import play

INPUTS, OUTPUTS = ("load", "data", "job"), ("out", "status")


def some_jobs(cfg, rng):
    """A random self-attention, a cross-attention and an exact job, and one pattern."""
    def sizes(mode=Mode.CTA, cross=False):
        return stimulus.legal_sizes(cfg, rng, mode, cross)

    return [stimulus.random_job(cfg, rng, *sizes()),
            stimulus.random_job(cfg, rng, *sizes(cross=True), saturating=True),
            stimulus.random_job(cfg, rng, *sizes(Mode.EXACT, cross=True), mode=Mode.EXACT),
            stimulus.patterned_job(cfg, rng, str(rng.choice(stimulus.PATTERNS)), *sizes())]


def check(cfg, weights, job, result, note, reuse=False):
    """Bits against the golden model, cycles against the cycle model."""
    golden = head.run(cfg, weights, job, reuse)
    for name in ("o", "ct0", "ct1", "ct2"):
        np.testing.assert_array_equal(getattr(result, name), getattr(golden, name), err_msg=note)
    for name in ("k0", "k1", "k2", "overflow", "zero_rows", "saturations"):
        assert getattr(result, name) == getattr(golden, name), f"{name}: {note}"
    m = len(job.xkv if job.xq is None else job.xq)
    cycles = head_cycles(cfg, len(job.xkv), m, golden.k0, golden.k1, golden.k2, job.mode,
                         weights.shared_a, reuse, result.held, job.xq is not None)
    assert (result.cycles, result.phases) == (cycles.total, cycles.phases), note


@cocotb.test()
@cocotb.parametrize(stalls=tuple(STALLS))
async def jobs_back_to_back(dut, stalls):
    cfg, note = config(), f"stalls {stalls}, seed {seed()}"
    jobs = some_jobs(cfg, np.random.default_rng([seed(), *map(ord, stalls)]))
    session = Session(cfg, Script(seed()))
    for at, stream in enumerate(INPUTS + OUTPUTS):
        session.script.stall(stream, *astuple(STALLS[stalls]), seed=seed() + at)
    for weights, job in jobs:
        session.job(weights, job).job(weights, job, reuse=True)
    await start(dut)
    results = session.results(await play(dut, session.script, INPUTS, OUTPUTS))
    for at, (weights, job) in enumerate(jobs):
        for again in False, True:
            check(cfg, weights, job, results[2 * at + again],
                  f"job {at}, {'again, ' * again}{note}", again)


@cocotb.test()
async def power_up(dut):
    """From registers and memories that hold nothing, after one cycle of reset and the loads that a
    job reads (docs/programming.md), all that leaves the engine is known and right.

    Under a simulator of two values what is not known is random bits.
    """
    cfg = config()
    rng = np.random.default_rng(seed())
    weights, job = stimulus.random_job(cfg, rng, cfg.n)
    sizes = stimulus.legal_sizes(cfg, rng, Mode.EXACT, cross=True)
    _, exact = stimulus.random_job(cfg, rng, *sizes, mode=Mode.EXACT)
    exact = replace(job, mode=Mode.EXACT, xkv=exact.xkv, xq=exact.xq)
    session = Session(cfg, Script(seed()))
    session.job(weights, job, reload=False)                      # no tokens: refused
    # Exact mode reads no hash; the rest only what CTA mode reads as well.
    loads = layout.weight_loads(cfg, weights)
    hashes = [load for load in loads if load.target in (Target.A0, Target.A1, Target.A2)
              or (load.target is Target.PARAMETER and load.base < Parameter.BQ)]
    linear = [load for load in loads if all(load is not other for other in hashes)]
    session.load(linear + layout.token_loads(exact)).job(weights, exact, reload=False)
    session.load(hashes + layout.token_loads(job)).job(weights, job, reload=False)
    await start(dut)
    watch = cocotb.start_soon(outputs_are_known(dut, OUTPUTS, INPUTS))
    run = await play(dut, session.script, INPUTS, OUTPUTS)
    watch.cancel()
    refused, *results = session.results(run)
    assert isinstance(refused, Refused) and refused.code is ErrorCode.LOAD, f"seed {seed()}"
    for result, wanted in zip(results, (exact, job), strict=True):
        check(cfg, weights, wanted, result, f"seed {seed()}")


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
        loads = layout.weight_loads(cfg, weights) + layout.token_loads(job)
        session.load(loads, wait=False).reset(int(rng.integers(1, 150)))
    session.jobs.clear()
    await start(dut)
    await play(dut, session.script, INPUTS, OUTPUTS)
    after = Session(cfg, Script(seed())).job(weights, job)
    result, = after.results(await play(dut, after.script, INPUTS, OUTPUTS))
    check(cfg, weights, job, result, f"seed {seed()}")
