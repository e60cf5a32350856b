"""The whole LookupFFN engine: jobs back to back under every stall pattern and with table memories of
every temper, refusals, resets in mid-load and mid-job."""

import tempfile
from dataclasses import astuple, replace
from pathlib import Path

import cocotb
import numpy as np

from model.lookup import layer, stimulus
from model.lookup.gather import orders
from model.lookup.job import ErrorCode, Order
from model.lookup.layout import HOST_LANES, Load, Parameter, Target, weight_loads
from sw.sim.engine import Script
from sw.sim.lookup import Refused, Session
from verif.actors import STALLS
from verif.bench import config, seed
from verif.cycle import outputs_are_known, start
from verif.play import play

LIMIT = 50_000    # cycles of a wait


def streams(cfg):
    """Names of the inputs and of the outputs of an engine."""
    inputs, outputs = ["load", "data", "job", "x"], ["y", "status"]
    if cfg.residual:
        inputs.append("residual")
    if cfg.tables == "external":
        inputs.append("response")
        outputs.append("request")
    return inputs, outputs


def some_jobs(cfg, rng, saturating):
    """A layer, and jobs for it in both orders, of one token to more than two batches."""
    weights, first = stimulus.random_job(cfg, rng, 2 * cfg.batch + 1, saturating)
    jobs = [first]
    for order, t in ((Order.TABLE_MAJOR, cfg.batch), (Order.TOKEN_MAJOR, 3), (Order.TABLE_MAJOR, 1),
                     (Order.TOKEN_MAJOR, 1), (Order.TABLE_MAJOR, int(rng.integers(1, 9)))):
        if order not in orders(cfg):
            continue
        _, job = stimulus.random_job(cfg, rng, t)
        # Shifts belong to the layer.
        jobs.append(replace(first, x=job.x, residual=job.residual, order=order))
    return weights, jobs


async def simulate(dut, cfg, weights, fill, latency=5, jitter=0):
    """Play the session that ``fill`` makes, the tables of ``weights`` behind the table port."""
    with tempfile.TemporaryDirectory(prefix="hashlayer-") as folder:
        session = Session(cfg, Script(seed()))
        session.script.limit(LIMIT)
        session.memory(weights.tables, Path(folder), latency, jitter, seed())
        fill(session)
        return session, await play(dut, session.script, *streams(cfg))


def check(cfg, weights, jobs, session, run, note):
    """Bits and counts against the golden model, cycles against those of the transfers."""
    at = 0
    for index, (job, result) in enumerate(zip(jobs, session.results(run), strict=True)):
        text = f"job {index}, {note}, seed {seed()}"
        if isinstance(job, ErrorCode):
            assert isinstance(result, Refused) and result.code is job, text
            continue
        assert not isinstance(result, Refused), f"{text}: {result}"
        golden = layer.run(cfg, weights, job)
        np.testing.assert_array_equal(result.y, golden.y, err_msg=text)
        assert result.saturations == golden.saturations, text
        assert result.table_bytes == golden.table_bytes, text
        at += job.x.size // HOST_LANES
        assert result.cycles == run.cycles["y"][at - 1] - run.cycles["job"][index], text


@cocotb.test()
@cocotb.parametrize(stalls=tuple(STALLS), memory=((1, 0), (3, 40), (90, 20)))
async def jobs_back_to_back(dut, stalls, memory):
    cfg = config()
    rng = np.random.default_rng([seed(), *map(ord, stalls), *memory])
    weights, jobs = some_jobs(cfg, rng, bool(rng.integers(2)))

    def fill(session):
        for at, stream in enumerate(sum(streams(cfg), [])):
            session.script.stall(stream, *astuple(STALLS[stalls]), seed=seed() + at)
        session.layer(weights)
        # All are at the ports at once; each waits for the one before.
        for job in jobs[:-1]:
            session.job(job, wait=False)
            session.sent["status"] += 1
        session.job(jobs[-1])

    await start(dut)
    session, run = await simulate(dut, cfg, weights, fill, *memory)
    check(cfg, weights, jobs, session, run, f"stalls {stalls}, memory {memory}")


@cocotb.test()
@cocotb.parametrize(pattern=stimulus.PATTERNS)
async def corner_cases(dut, pattern):
    cfg, rng = config(), np.random.default_rng(seed())
    weights, job = stimulus.patterned_job(cfg, rng, pattern, cfg.batch + 1)
    await start(dut)
    session, run = await simulate(dut, cfg, weights, lambda s: s.layer(weights).job(job), 9, 9)
    check(cfg, weights, [job], session, run, pattern)


@cocotb.test()
async def power_up(dut):
    """From registers and memories that hold nothing, after one cycle of reset and the loads of a
    layer (docs/lookup-programming.md), all that leaves the engine is known and right.

    Under a simulator of two values what is not known is random bits.
    """
    cfg = config()
    weights, job = stimulus.random_job(cfg, np.random.default_rng(seed()), cfg.batch + 1)
    nothing = replace(job, x=job.x[:0], residual=None)
    ins, outs = streams(cfg)
    await start(dut)
    watch = cocotb.start_soon(outputs_are_known(dut, outs, ins))
    session, run = await simulate(
        dut, cfg, weights, lambda s: s.job(nothing).layer(weights).job(job), 3, 5)
    watch.cancel()
    check(cfg, weights, [ErrorCode.TOKENS, job], session, run, "from power-up")


@cocotb.test()
async def refusals_leave_the_engine_usable(dut):
    cfg = config()
    weights, job = stimulus.random_job(cfg, np.random.default_rng(seed()), 4)
    end = sum(len(load.beats) for load in weight_loads(cfg, weights) if load.target is Target.TABLE)
    illegal = [Load(Target.TABLE, end, [1]), Load(Target.Z_BIAS, cfg.codes, [1]),
               Load(15, 0, [1, 2]), Load(Target.SHIFT, Parameter.END - 1, [1, 1]),
               Load(Target.OUT_BIAS, 0, [1] * (cfg.d + 1))]
    nothing = replace(job, x=job.x[:0], residual=None)

    def fill(session):
        session.layer(weights).job(job).job(nothing)
        for load in illegal:
            session.load([load]).job(nothing)
        if not cfg.tile:
            # No tokens are offered: they would be left for the next job.
            session.job(nothing, tokens=1, order=Order.TABLE_MAJOR)
        session.job(job)

    await start(dut)
    jobs = [job, ErrorCode.TOKENS, *[ErrorCode.LOAD] * len(illegal),
            *([] if cfg.tile else [ErrorCode.ORDER]), job]
    check(cfg, weights, jobs, *await simulate(dut, cfg, weights, fill), "refusals")


@cocotb.test()
@cocotb.parametrize(order=(Order.TOKEN_MAJOR, Order.TABLE_MAJOR))
async def reset_in_mid_job(dut, order):
    """A job after a reset is untouched by the load or the job that it cut off."""
    cfg, rng = config(), np.random.default_rng(seed())
    if order not in orders(cfg):
        return    # no such job
    weights, job = stimulus.random_job(cfg, rng, 2 * cfg.batch + 1, order=order)
    await start(dut)
    for trial in range(6):
        def cut(session):
            if trial:
                session.layer(weights).job(job, wait=False)
            else:
                session.load(weight_loads(cfg, weights), wait=False)
            session.reset(int(rng.integers(1, 600 if trial else 150)))

        await simulate(dut, cfg, weights, cut, 7, 20)
        session, run = await simulate(dut, cfg, weights, lambda s: s.layer(weights).job(job), 7, 20)
        check(cfg, weights, [job], session, run, f"reset {trial}, {order.name}")
