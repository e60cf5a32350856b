"""One cycle of reset, at every cycle of a load, of a job and of its output, on both engines.

What the reset cut off leaves no trace: the next job, with its tokens loaded in the very next
cycles, has the numbers of the golden model and the cycles of the cycle model. Weights, parameters
and internal tables stay over the reset, and are not loaded again.
"""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest

from model.cta import layout, stimulus
from model.cta.config import CTAConfig
from model.cta.job import Mode
from model.lookup import layout as lookup_layout
from model.lookup import stimulus as lookup_stimulus
from model.lookup.config import LookupConfig
from model.lookup.cycles import layer_cycles
from model.lookup.job import Order
from sw.sim.attempts import attempts
from sw.sim.cta import Session, build, run_jobs
from sw.sim.engine import Script
from sw.sim.lookup import Session as LookupSession
from sw.sim.lookup import build as build_lookup
from tests.rtl.test_head import check
from tests.rtl.test_lookup import check as check_lookup
from tests.rtl.test_sweep import random_config, random_lookup_config

CONFIGS = {
    "small": CTAConfig(b=4, d=8, dw=16, l=5, n=24, tokens=30, exact=12, k0=12, k1=20, k2=9, sets=3,
                       lanes=4, pag=2),
    "plain": CTAConfig(b=4, d=8, l=2, n=20, tokens=40),
    "fast": CTAConfig(b=4, d=8, dw=32, l=5, n=20, tokens=24, exact=12, k0=12, lanes=4, products="fast"),
    "crowded": CTAConfig(b=8, d=16, l=8, n=24, k0=12, k1=9, k2=5, exact=9, pag=4),
    "wide": CTAConfig(b=16, d=8, dw=16, l=4, n=17, tokens=34, pag=8, digit=1),
}
LOOKUP = {
    "plain": LookupConfig(d=16, h=4, tau=3, block=4, multipliers=8, lanes=8, batch=3),
    "dense": LookupConfig(d=16, h=4, tau=3, block=4, multipliers=8, lanes=8, batch=3,
                          projection="dense"),
    "neighbours": LookupConfig(d=24, h=3, tau=3, block=8, multipliers=16, lanes=16, batch=3,
                               neighbours=True, residual=True),
    "internal": LookupConfig(d=16, h=5, tau=4, block=8, multipliers=16, lanes=16, batch=4,
                             tables="internal", gelu_scaled=False),
}


def cta_sweep(cfg, seed, mode):
    """Positions in a load of tokens, and in job and output, that were tried."""
    rng = np.random.default_rng(seed)
    n = cfg.exact if mode is Mode.EXACT else cfg.n
    weights, cut = stimulus.random_job(cfg, rng, n, n if 2 * n <= cfg.tokens else None, mode=mode)
    _, after = stimulus.random_job(cfg, rng, int(rng.integers(1, n + 1)), mode=mode)
    # The shifts belong to the weights.
    after = dataclasses.replace(cut, xkv=after.xkv, xq=after.xq)
    tokens = layout.token_loads(cut)
    alone, = run_jobs(cfg, [(weights, cut)])
    rows = len(alone.o) * cfg.groups + max(len(cut.xkv), len(alone.o))     # of O, and tables
    in_job = range(0, alone.cycles + rows + 6)
    in_load = range(0, sum(1 + layout_beats(cfg, load) for load in tokens) + 3)

    session = Session(cfg, Script(seed)).load(layout.weight_loads(cfg, weights))
    session.reset(0)
    for at in in_load:
        session.load(tokens, wait=False).reset(at)
        session.load(layout.token_loads(after)).job(weights, after, reload=False).reset(0)
    for at in in_job:
        session.load(tokens).job(weights, cut, reload=False, wait=False).reset(at)
        session.load(layout.token_loads(after)).job(weights, after, reload=False).reset(0)
    session.jobs.clear()
    parts = attempts(build(cfg).run(session.script))[2:]
    assert len(parts) == 2 * (len(in_load) + len(in_job))
    places = [f"load cycle {at}" for at in in_load] + [f"job cycle {at}" for at in in_job]
    word = layout.job_fields(weights, after, tables=True)
    # What comes after each reset in a load or a job is a part; the other resets end it.
    for place, part in zip(places, parts[::2], strict=True):
        session.jobs = [word]
        result, = session.results(part)
        check(cfg, weights, after, result, f"seed {seed}, {mode.name}, reset at {place}")
    return len(in_load), len(in_job)


def layout_beats(cfg, load):
    return sum(1 for _ in layout.beats(cfg, load))


@pytest.mark.reliability
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("name", ["small", "plain", pytest.param("crowded", marks=pytest.mark.nightly),
                                  pytest.param("wide", marks=pytest.mark.nightly)])
def test_cta(name, mode, tried):
    loads, jobs = cta_sweep(CONFIGS[name], 3, mode)
    tried("one-cycle reset", configurations=1, positions_in_loads=loads, positions_in_jobs=jobs)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_cta_reset_through_the_script(width):
    """The cycles in which version 0.1 was found to spoil the next job, cut by a reset that is queued
    through the script and not through the session: the waits that follow count from it as well."""
    cfg = CONFIGS["small"]
    weights, job = stimulus.random_job(cfg, np.random.default_rng(3), cfg.n)
    session = Session(cfg, Script(3))
    for at in (454, 455, 494, 495, 502):
        session.job(weights, job, wait=False).script.idle(at).reset(width)
        session.jobs.clear()
        session.load(layout.token_loads(job)).job(weights, job, reload=False)
        session.script.reset(width)
    parts = attempts(build(cfg).run(session.script))[1::2]
    assert len(parts) == 5
    for part in parts:
        result, = session.results(part)
        check(cfg, weights, job, result, f"reset of {width} cycles at {part.resets}")


@pytest.mark.reliability
@pytest.mark.nightly
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("seed", range(3))
def test_cta_configurations(seed, mode, tried):
    """Configurations drawn at random."""
    loads, jobs = cta_sweep(random_config(seed + 50), seed, mode)
    tried("one-cycle reset", configurations=1, positions_in_loads=loads, positions_in_jobs=jobs)


def lookup_sweep(cfg, seed, order):
    """Positions in a load of the layer, and in job and output, that were tried."""
    rng = np.random.default_rng(seed)
    weights, cut = lookup_stimulus.random_job(cfg, rng, cfg.batch + 2, order=order)
    _, other = lookup_stimulus.random_job(cfg, rng, cfg.batch + 1, order=order)
    after = dataclasses.replace(cut, x=other.x, residual=other.residual)
    loads = lookup_layout.weight_loads(cfg, weights)
    again = loads[1]                     # the load that is cut off is loaded again, nothing else
    length = layer_cycles(cfg, len(cut.x), order, 7).total
    in_load, in_job = range(0, len(again.beats) + 4), range(0, length + 12)
    engine = build_lookup(cfg)
    with tempfile.TemporaryDirectory(prefix="hashlayer-") as folder:
        session = LookupSession(cfg, Script(seed)).memory(weights.tables, Path(folder), 7)
        session.load(loads).reset(0)
        for at in in_load:
            session.load([again], wait=False).reset(at)
            session.load([again]).job(after).reset(0)
        for at in in_job:
            session.job(cut, wait=False).reset(at)
            session.job(after).reset(0)
        session.jobs.clear()
        parts = attempts(engine.run(session.script))[2:]
    places = [f"load cycle {at}" for at in in_load] + [f"job cycle {at}" for at in in_job]
    for place, part in zip(places, parts[::2], strict=True):
        session.jobs = [lookup_layout.job_fields(after)]
        result, = session.results(part)
        note = f"seed {seed}, {order.name}, reset at {place}"
        check_lookup(cfg, weights, after, result, note)
        assert result.cycles == layer_cycles(cfg, len(after.x), order, 7).total, note
    return len(in_load), len(in_job)


@pytest.mark.reliability
@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("name", ["plain", "dense", "neighbours", "internal"])
def test_lookup(name, order, tried):
    loads, jobs = lookup_sweep(LOOKUP[name], 3, order)
    tried("one-cycle reset", configurations=1, positions_in_loads=loads, positions_in_jobs=jobs)


@pytest.mark.reliability
@pytest.mark.nightly
@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("seed", range(3))
def test_lookup_configurations(seed, order, tried):
    """Configurations drawn at random."""
    loads, jobs = lookup_sweep(random_lookup_config(seed + 50), seed, order)
    tried("one-cycle reset", configurations=1, positions_in_loads=loads, positions_in_jobs=jobs)
