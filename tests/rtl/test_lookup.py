"""LookupFFN layers on the Verilog of the engine: bit for bit the golden model, for configurations at
the edges of what is legal, with stalls on every port and table memories of any latency."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest

from model.lookup import layer, stimulus
from model.lookup.config import LookupConfig
from model.lookup.cycles import layer_cycles
from model.lookup.gather import orders
from model.lookup.job import ErrorCode, Order, Saturation
from model.lookup.layout import Load, Parameter, Target
from sw.sim.engine import Script
from sw.sim.lookup import Refused, Session, build, run_jobs

CONFIGS = {
    "plain": LookupConfig(d=16, h=4, tau=3, block=4, multipliers=8, lanes=8, batch=3),
    # Padding, several copies, more multipliers than a block has rows, one beat a row.
    "copies": LookupConfig(d=24, h=13, tau=5, block=8, multipliers=32, lanes=32, batch=4,
                           outstanding=4),
    # One bit, one table, one multiplier, one byte a beat.
    "least": LookupConfig(d=8, h=1, tau=1, block=4, multipliers=1, lanes=1, batch=1, outstanding=1),
    # Most of a transform gives no z, and its few multipliers are slow: it outlasts the last y.
    "few codes": LookupConfig(d=40, h=1, tau=2, block=8, multipliers=2, lanes=16, batch=2),
    "neighbours": LookupConfig(d=40, h=6, tau=4, block=16, multipliers=64, lanes=16, batch=5,
                               neighbours=True, residual=True),
    "internal": LookupConfig(d=16, h=5, tau=4, block=8, multipliers=16, lanes=16, batch=4,
                             tables="internal", gelu_scaled=False),
    "no tile": LookupConfig(d=24, h=5, tau=3, block=8, multipliers=16, lanes=8, tile=False),
    "dense": LookupConfig(d=24, h=3, tau=6, projection="dense", block=8, multipliers=8, lanes=8,
                          batch=2, neighbours=True, gelu_scaled=False),
}


def check(cfg, weights, job, result, note):
    """The result of the RTL against the golden model."""
    golden = layer.run(cfg, weights, job)
    np.testing.assert_array_equal(result.y, golden.y, err_msg=f"y: {note}")
    assert result.saturations == golden.saturations, note
    assert result.table_bytes == golden.table_bytes, note


def jobs_for(cfg, seed):
    """Jobs of every kind: (note, weights, job)."""
    rng = np.random.default_rng(seed)
    for order in orders(cfg):
        for t in (1, cfg.batch, 2 * cfg.batch + 1):
            yield f"random {order.name} t={t}", *stimulus.random_job(cfg, rng, t, order=order)
        yield f"saturating {order.name}", *stimulus.random_job(cfg, rng, 5, saturating=True,
                                                               order=order)
    for pattern in stimulus.PATTERNS:
        yield f"pattern {pattern}", *stimulus.patterned_job(cfg, rng, pattern, 3)


@pytest.mark.parametrize("stalls, latency, jitter", [(0.0, 1, 0), (0.0, 37, 0), (0.4, 20, 60)])
@pytest.mark.parametrize("name", CONFIGS)
def test_layers(name, stalls, latency, jitter):
    cfg, seed = CONFIGS[name], 5 + int(10 * stalls)
    for note, weights, job in jobs_for(cfg, seed):
        result, = run_jobs(cfg, [(weights, job)], stalls=stalls, seed=seed, latency=latency,
                           jitter=jitter)
        check(cfg, weights, job, result, f"{name}, seed {seed}, {note}")
        if not stalls:
            cycles = layer_cycles(cfg, len(job.x), job.order, latency).total
            assert result.cycles == cycles, f"{name}, seed {seed}, {note}"


@pytest.mark.parametrize("name", ["plain", "neighbours", "internal"])
def test_back_to_back_jobs(name):
    """Jobs of one layer in both orders, one after the other."""
    cfg = CONFIGS[name]
    rng = np.random.default_rng(9)
    weights, first = stimulus.random_job(cfg, rng, 4)
    jobs = []
    for at in range(6):
        _, job = stimulus.random_job(cfg, rng, int(rng.integers(1, 9)), order=Order(at % 2))
        jobs.append(dataclasses.replace(first, x=job.x, residual=job.residual, order=job.order))
    results = run_jobs(cfg, [(weights, job) for job in jobs], stalls=0.2, seed=9, latency=7, jitter=30)
    for at, (job, result) in enumerate(zip(jobs, results, strict=True)):
        check(cfg, weights, job, result, f"{name}, job {at}")


def test_every_saturation_happens():
    kinds = set()
    for cfg in CONFIGS.values():
        for _, weights, job in jobs_for(cfg, 5):
            counts = layer.run(cfg, weights, job).saturations
            kinds |= {kind for kind, count in counts.items() if count}
    assert kinds == set(Saturation)


@pytest.mark.parametrize("order", Order)
def test_reset_in_mid_job(order):
    """A reset at any point of a job leaves an engine that runs the next job correctly."""
    cfg = CONFIGS["plain"]
    rng = np.random.default_rng(3)
    weights, job = stimulus.random_job(cfg, rng, 7, order=order)
    total = run_jobs(cfg, [(weights, job)], latency=10)[0].cycles
    for after in rng.integers(1, total, size=6):
        with tempfile.TemporaryDirectory() as folder:
            session = Session(cfg, Script(3)).memory(weights.tables, Path(folder), 9)
            session.layer(weights).job(job, wait=False).reset(int(after))
            session.jobs.clear()
            session.job(job)
            run = build(cfg).run(session.script)
        # What the lost job had sent by then comes first.
        count = job.x.size // 8
        run.received["y"] = run.received["y"][-count:]
        result, = session.results(run)
        check(cfg, weights, job, result, f"reset {after} cycles after the job word")


def test_the_order_that_needs_a_tile_is_refused():
    """By a code, without a token; the engine goes on."""
    cfg = CONFIGS["no tile"]
    weights, job = stimulus.random_job(cfg, np.random.default_rng(8), 3)
    with tempfile.TemporaryDirectory() as folder:
        session = Session(cfg, Script(6)).memory(weights.tables, Path(folder), 3).layer(weights)
        table_major = dataclasses.replace(job, x=job.x[:0], order=Order.TABLE_MAJOR)
        session.job(job).job(table_major, tokens=3).job(table_major).job(job)
        first, refused, nothing, last = session.results(build(cfg).run(session.script))
    assert (refused.code, nothing.code) == (ErrorCode.ORDER, ErrorCode.TOKENS)
    for result in (first, last):
        check(cfg, weights, job, result, "around a refused order")


def test_refused_jobs_and_loads():
    """Illegal jobs and loads are refused by code; the engine goes on."""
    cfg = CONFIGS["plain"]
    weights, job = stimulus.random_job(cfg, np.random.default_rng(6), 3)
    illegal = [Load(Target.Z_BIAS, cfg.codes, [0]), Load(Target.TABLE, 0, [0]),
               Load(Target.SHIFT, Parameter.END - 1, [0, 0]), Load(Target.OUT_BIAS, 0, [0] * 17)]
    with tempfile.TemporaryDirectory() as folder:
        session = Session(cfg, Script(6)).memory(weights.tables, Path(folder), 3).layer(weights)
        session.job(job).job(job, tokens=0)
        for load in illegal:
            session.load([load])
            session.job(dataclasses.replace(job, x=job.x[:0]), tokens=0)
        session.job(job)
        results = session.results(build(cfg).run(session.script))
    codes = [result.code if isinstance(result, Refused) else None for result in results]
    assert codes == [None, ErrorCode.TOKENS] + [ErrorCode.LOAD] * len(illegal) + [None]
    for result in (results[0], results[-1]):
        check(cfg, weights, job, result, "around refused jobs")
