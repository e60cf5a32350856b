"""Which jobs are refused and why, after any sequence of loads, jobs and resets, on both engines.

The golden model of the host's side (``model.*.admission``) says what the answer must be; the loads
include illegal ones, tokens in pieces, with gaps and over each other, and loads of no rows.
"""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest

from model.cta import layout, stimulus
from model.cta.admission import Admission, load_beats
from model.cta.config import CTAConfig
from model.cta.job import ErrorCode
from model.cta.layout import Load, Target
from model.lookup import admission as lookup_admission
from model.lookup import layout as lookup_layout
from model.lookup import stimulus as lookup_stimulus
from model.lookup.config import LookupConfig
from model.lookup.cycles import layer_cycles
from model.lookup.job import ErrorCode as LookupError
from model.lookup.job import Order
from model.words import pack_fields
from sw.sim.cta import Refused, Session, build, run_jobs
from sw.sim.engine import Script
from sw.sim.lookup import Session as LookupSession
from sw.sim.lookup import build as build_lookup
from tests.rtl.test_head import check

CFG = CTAConfig(b=4, d=8, dw=16, l=5, n=24, tokens=37, exact=15, k0=12, k1=20, k2=9, sets=3, lanes=4, pag=2)
LOOKUP = LookupConfig(d=16, h=5, tau=4, block=8, multipliers=16, lanes=16, batch=4,
                      tables="internal", gelu_scaled=False)

NO_TILE = dataclasses.replace(LOOKUP, tile=False, batch=0)


def code(result):
    """The error code of a result, as the admission gives it."""
    return result.code if isinstance(result, Refused) else type(result).__name__


def push_load(session, golden, values, beats):
    """Queue any load, and note it in the golden model."""
    session._push("load", layout.pack_fields(layout.LOAD_FIELDS, values))
    session._push("data", *beats)
    session._wait("load", "data")
    golden.load(**values)


def random_step(rng, session, golden, weights, tokens, job):
    """Queue a random load of tokens, another load, or a job."""
    kind = rng.random()
    if kind < 0.5:
        target, there = int(Target.TOKEN), golden.rows
        base = int(rng.choice([0, there, max(0, there - 2), there + 1]))
        rows = int(rng.integers(0, CFG.tokens + 2 - min(base, CFG.tokens)))
        if rng.random() < 0.5:
            base, rows = 0, int(rng.integers(1, CFG.tokens + 1))
        load = Load(Target(target), 0, base, np.resize(tokens, (rows, CFG.dw)))
        values = {"target": target, "set": 0, "base": base, "rows": rows}
        push_load(session, golden, values, layout.beats(CFG, load))
    elif kind < 0.6:
        target, index = int(rng.integers(0, 16)), int(rng.choice([0, 0, CFG.sets, 15]))
        base, rows = int(rng.choice([0, 1, 5, 8, 700, 65535])), int(rng.integers(0, 4))
        # Whatever a legal one brings must be what was there: the jobs go on.
        legal = [load for load in layout.weight_loads(CFG, weights) if load.target == target]
        if legal and index == 0:
            load = legal[0]
            base, rows, payload = load.base, len(load.rows), layout.beats(CFG, load)
        else:
            index = max(index, CFG.sets)
            payload = [0] * load_beats(CFG, target, rows)
        push_load(session, golden, {"target": target, "set": index, "base": base, "rows": rows},
                  payload)
    else:
        cross = int(rng.integers(2))
        there = golden.rows
        n = int(rng.choice([there, there, max(1, there - 1), there + 1, CFG.n + 1]))
        if cross and there > 1:
            n = int(rng.integers(1, there))
            m = int(rng.choice([there - n, there - n, there - n + 1, CFG.n + 1]))
        else:
            m = int(rng.integers(1, CFG.n + 2))
        fields = {"n": n, "m": m if cross else n, "cross": cross, "mode": int(rng.random() < 0.3),
                  "set": 3 * int(rng.random() < 0.05)}
        if rng.random() < 0.15:
            fields |= {"linear": 1} | ({"mode": 1} if rng.random() < 0.8 else {})
        if not cross and rng.random() < 0.05:
            fields["m"] += 1
        if rng.random() < 0.3:
            fields |= {"reuse": 1}
            if golden.clusters and rng.random() < 0.8:
                fields |= dict(zip(("mode", "n", "m", "cross", "linear"), golden.clusters))
        session.job(weights, job, reload=False, **fields)
        return golden.job(**{key: session.jobs[-1][key] for key in fields})
    return None


@pytest.mark.reliability
@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.nightly)
                                               for seed in range(3, 30))])
def test_cta_sequences(seed, tried):
    rng = np.random.default_rng(seed)
    weights, job = stimulus.random_job(CFG, rng, CFG.n)
    golden, session, expected = Admission(CFG), Session(CFG, Script(seed)), []
    session.load(layout.weight_loads(CFG, weights))
    for _ in range(150):
        answer = random_step(rng, session, golden, weights, job.xkv, job)
        if answer is not None:
            expected.append(answer)
        if rng.random() < 0.02:
            session.reset(0)
            golden.reset()
    results = session.results(build(CFG).run(session.script))
    got = [result.code if isinstance(result, Refused) else ErrorCode.NONE for result in results]
    assert got == expected, f"seed {seed}"
    assert len(set(expected)) >= 3
    tried("admission", jobs=len(expected), refused=sum(1 for c in expected if c))


def offered_early(weights, first, second, wait):
    """Two jobs whose tokens are offered at once, the second's behind the first's."""
    session = Session(CFG, Script(1)).load(layout.weight_loads(CFG, weights))
    for job in (first, second):
        session.load(layout.token_loads(job), wait=wait)
    for job in (first, second):
        session.job(weights, job, reload=False, wait=False)
    session.wait()
    return session.results(build(CFG).run(session.script))


@pytest.mark.parametrize("wait", [True, False])
def test_tokens_offered_early(wait):
    """Loads that are offered go before the job: the first job has the tokens that were loaded last,
    and the second, which has none, is refused."""
    rng = np.random.default_rng(4)
    weights, first = stimulus.random_job(CFG, rng, 10)
    second = dataclasses.replace(first, xkv=stimulus.random_job(CFG, rng, 10)[1].xkv)
    result, refused = offered_early(weights, first, second, wait)
    check(CFG, weights, second, result, "the tokens loaded last")
    assert isinstance(refused, Refused) and refused.code is ErrorCode.LOAD


def test_job_offered_with_its_tokens():
    """A load taken in the cycle in which the job is taken goes first, and so do those behind it."""
    weights, job = stimulus.random_job(CFG, np.random.default_rng(5), 9, 7)
    session = Session(CFG, Script(1)).load(layout.weight_loads(CFG, weights))
    for _ in range(2):
        session.load(layout.token_loads(job), wait=False).job(weights, job, reload=False)
    run = build(CFG).run(session.script)
    first = len(layout.weight_loads(CFG, weights))
    assert run.cycles["job"][0] == run.cycles["load"][first]
    for result in session.results(run):
        check(CFG, weights, job, result, "tokens and job together")


def test_a_refused_job_leaves_the_tokens():
    """They are there for a job that is asked for properly, and once only."""
    weights, job = stimulus.random_job(CFG, np.random.default_rng(6), 9)
    session = Session(CFG, Script(1)).job(weights, job, set=3).job(weights, job, reload=False)
    session.job(weights, job, reload=False)
    refused, result, again = session.results(build(CFG).run(session.script))
    assert (refused.code, again.code) == (ErrorCode.WEIGHT_SET, ErrorCode.LOAD)
    check(CFG, weights, job, result, "after a refused job")


def test_a_load_with_too_few_beats_waits():
    """Neither load nor job goes on before the announced beats have come, or a reset."""
    weights, job = stimulus.random_job(CFG, np.random.default_rng(7), 4)
    session = Session(CFG, Script(1)).load(layout.weight_loads(CFG, weights))
    command = {"target": 0, "set": 0, "base": 0, "rows": 5}
    session._push("load", layout.pack_fields(layout.LOAD_FIELDS, command))
    session._push("data", *layout.beats(CFG, layout.token_loads(job)[0]))
    session.job(weights, job, reload=False, wait=False).reset(2000)
    session.jobs.clear()
    session.job(weights, job, reload=False).job(weights, job, reload=True)
    run = build(CFG).run(session.script)
    assert min(run.cycles["out"] + run.cycles["status"]) > run.resets[1]
    refused, result = session.results(run)
    assert refused.code is ErrorCode.LOAD
    check(CFG, weights, job, result, "after a load cut off by a reset")


@pytest.mark.parametrize("engine", ["cta", "lookup"])
def test_status_follows_the_last_output(engine):
    """However long the output is held up, the status waits behind it."""
    if engine == "cta":
        weights, job = stimulus.random_job(CFG, np.random.default_rng(8), 9)
        session = Session(CFG, Script(1))
        session.script.stall("out", 0.97, 40, 3)
        run, out = build(CFG).run(session.job(weights, job).script), "out"
    else:
        weights, job = lookup_stimulus.random_job(LOOKUP, np.random.default_rng(8), 9)
        session = LookupSession(LOOKUP, Script(1)).layer(weights)
        session.script.stall("y", 0.97, 40, 3)
        run, out = build_lookup(LOOKUP).run(session.job(job).script), "y"
    assert run.cycles[out][-1] < run.cycles["status"][0] < run.cycles[out][-1] + 12


def test_the_timing_diagram_of_cta():
    """Every cycle of the diagram of docs/programming.md, and that of a refused job."""
    weights, job = stimulus.random_job(CFG, np.random.default_rng(9), 9, 7)
    session = Session(CFG, Script(1)).load(layout.weight_loads(CFG, weights) + layout.token_loads(job))
    for _ in range(3):                   # the second and third have no tokens
        session.job(weights, job, reload=False, wait=False)
    session.wait()
    run = build(CFG).run(session.script)
    result = session.results(run)[0]
    check(CFG, weights, job, result, "diagram")      # its cycles are those of the golden schedule
    c = result.cycles
    taken, out, status = (run.cycles[name] for name in ("job", "out", "status"))
    rows = [taken[0] + c + 6 + max(2, CFG.groups) * t + g
            for t in range(7) for g in range(CFG.groups)]
    assert out == rows + [rows[-1] + 2 * (t + 1) for t in range(9)]
    # The second waits in the engine, and the third at its door until the second has been checked.
    assert (status[0], taken[1]) == (out[-1] + 1, taken[0] + 3)
    assert taken[2] == taken[0] + c + 6
    assert [b - a for a, b in zip(status, status[1:])] == [2, 3]


def test_the_timing_diagram_of_lookup():
    """Every cycle of the diagram of docs/lookup-programming.md, and that of a refused job."""
    weights, job = lookup_stimulus.random_job(LOOKUP, np.random.default_rng(9), 5)
    session = LookupSession(LOOKUP, Script(1)).layer(weights)
    session.job(job, wait=False)
    for _ in range(2):
        session.job(dataclasses.replace(job, x=job.x[:0]), wait=False)
    session.sent["status"] += 3
    session._wait("status")
    run = build_lookup(LOOKUP).run(session.script)
    c = session.results(run)[0].cycles
    assert c == layer_cycles(LOOKUP, 5, job.order, 1).total
    taken, x, y, status = (run.cycles[name] for name in ("job", "x", "y", "status"))
    assert (x[0], y[-1]) == (taken[0] + 2, taken[0] + c)
    assert (status[0], taken[1]) == (y[-1] + 4, y[-1] + 5)
    assert (status[1], taken[2]) == (taken[1] + 2, taken[1] + 3)


@pytest.mark.parametrize("engine", ["cta", "lookup"])
def test_a_host_that_waits_for_the_status_first_waits_for_ever(engine):
    """As docs/programming.md says: who takes no output gets no status."""
    if engine == "cta":
        weights, job = stimulus.random_job(CFG, np.random.default_rng(8), 9)
        cycles = run_jobs(CFG, [(weights, job)])[0].cycles
        session, binary, out = Session(CFG, Script(1)), build(CFG), "out"
        session.script.stall(out, 1.0)
        session.job(weights, job, wait=False)
    else:
        weights, job = lookup_stimulus.random_job(LOOKUP, np.random.default_rng(8), 9)
        session, binary, out = LookupSession(LOOKUP, Script(1)), build_lookup(LOOKUP), "y"
        session.script.stall(out, 1.0)
        session.layer(weights).job(job, wait=False)
        cycles = 4000
    session.script.idle(3 * cycles)
    run = binary.run(session.script)
    assert (run.cycles[out], run.cycles["status"]) == ([], [])


@pytest.mark.reliability
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cfg", [LOOKUP, NO_TILE], ids=["tile", "no tile"])
def test_lookup_sequences(cfg, seed, tried):
    rng = np.random.default_rng(seed)
    weights, job = lookup_stimulus.random_job(cfg, rng, 3)
    loads, golden, expected = lookup_layout.weight_loads(cfg, weights), None, []
    golden = lookup_admission.Admission(cfg)
    with tempfile.TemporaryDirectory(prefix="hashlayer-") as folder:
        session = LookupSession(cfg, Script(seed)).memory(weights.tables, Path(folder), 3)
        session.load(loads)
        for _ in range(150):
            if rng.random() < 0.5:
                values, beats = random_lookup_load(rng, loads)
                session._push("load", pack_fields(lookup_layout.LOAD_FIELDS, values))
                session._push("data", *beats)
                session._wait("load", "data")
                golden.load(**values)
            else:
                fields = {"gain": int(rng.choice([job.gain, 0, 511, 512, 65535])),
                          "skip": int(rng.choice([job.skip, 511, 512, 1 << 15]))}
                if rng.random() < 0.3:
                    fields = {"gain": job.gain, "skip": job.skip}
                refused = golden.error or not all(
                    lookup_admission.fits(cfg, *item) for item in fields.items())
                if rng.random() < 0.4:
                    fields["order"] = int(Order.TABLE_MAJOR)
                    refused = refused or not cfg.tile
                empty = bool(refused or rng.random() < 0.2)     # tokens of no job would stay
                asked = dataclasses.replace(job, x=job.x[:0]) if empty else job
                if empty:
                    fields["tokens"] = 0 if rng.random() < 0.3 or not refused else 3
                    session._push("job", pack_fields(lookup_layout.JOB_FIELDS,
                                                     lookup_layout.job_fields(asked) | fields))
                    session.jobs.append(lookup_layout.job_fields(asked) | fields)
                    session._wait_for_status()
                else:
                    session.job(asked, **fields)
                expected.append(golden.job(**session.jobs[-1]))
            if rng.random() < 0.03:
                session.reset(0)
                golden.reset()
        results = session.results(build_lookup(cfg).run(session.script))
    got = [result.code if isinstance(result, Refused) else LookupError.NONE for result in results]
    assert got == expected, f"seed {seed}"
    assert len(set(expected)) >= 3 and (LookupError.ORDER in expected) != cfg.tile
    tried("admission", jobs=len(expected), refused=sum(1 for c in expected if c))


def random_lookup_load(rng, loads):
    """A load of the layer once more, or an illegal one: (fields, beats)."""
    if rng.random() < 0.7:
        load = loads[int(rng.integers(len(loads)))]
        return ({"target": int(load.target), "base": load.base, "beats": len(load.beats)},
                load.beats)
    target = int(rng.integers(0, 16))
    base = int(rng.choice([0x1000, 0x5000, (1 << 28) - 1]))
    return {"target": target, "base": base, "beats": 2}, [0, 0]
