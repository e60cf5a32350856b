"""Layers on the RTL: the heads of a layer reuse the clusters of the first, to the bit and cycle."""

import numpy as np
import pytest

from model.cta.admission import Admission
from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.job import ErrorCode, Mode
from model.cta.layout import token_loads, weight_loads
from model.cta.stimulus import PATTERNS, layer_of, patterned_job, random_job
from sw.sim.attempts import attempts
from sw.sim.cta import Refused, Session, build
from sw.sim.engine import Script
from tests.rtl.test_head import check
from tests.rtl.test_sweep import random_config

CONFIGS = {
    "one slice": CTAConfig(b=2, d=8, n=24, tokens=48, l=3),
    "slices": CTAConfig(b=4, d=8, dw=24, l=8, n=24, tokens=31, sums=2, digit=4),
    "fast": CTAConfig(b=4, d=8, dw=32, l=3, n=24, tokens=31, sets=2, lanes=4, products="fast"),
    "small capacities": CTAConfig(b=2, d=8, n=24, k0=5, k1=7, k2=3, exact=9, sets=3),
}


def made(cfg, rng, heads, pattern=None, mode=None):
    """Weights of some heads that hash alike, and a job on the same tokens for all."""
    mode = Mode(int(rng.integers(2))) if mode is None else mode
    most = cfg.exact if mode is Mode.EXACT else cfg.n
    n = int(rng.integers(1, most + 1))
    cross = pattern is None and n < cfg.tokens and rng.random() < 0.5
    m = int(rng.integers(1, min(most, cfg.tokens - n) + 1)) if cross else None
    return layer_of([
        patterned_job(cfg, rng, pattern, n) if pattern else
        random_job(cfg, rng, n, m, mode, saturating=rng.random() < 0.2)
        for _ in range(heads)])


def queue(session, cfg, weights, job, wait=True, rng=None):
    """All heads of a layer, each in the next weight set; with ``rng`` outputs by token or by cluster.

    Without ``wait`` the operands of a job are loaded while the one before it runs, and its outputs leave
    while the next one does."""
    for head, own in enumerate(weights):
        session.job(own, job.head(head), head % cfg.sets, reuse=head > 0, wait=wait,
                    clusters=int(rng.integers(2)) if rng else 0,
                    tables=int(rng.integers(2)) if rng and head else 1)
    return session


def same(cfg, results, weights, job, note):
    """Every value, count and cycle of a layer's heads."""
    for head, (result, own) in enumerate(zip(results, weights, strict=True)):
        check(cfg, own, job.head(head), result, f"{note}, head {head}", reuse=head > 0)


def layers_in_a_row(cfg, seed, stalls, count, wait=True):
    """Layers of all kinds in one simulation; the number of heads that reused clusters."""
    rng = np.random.default_rng(seed)
    layers = [made(cfg, rng, int(rng.integers(1, 5))) for _ in range(count)]
    layers += [made(cfg, rng, 2, pattern) for pattern in PATTERNS]
    session = Session(cfg, Script(seed))
    if stalls:
        session.stall(stalls, seed)
    for weights, job in layers:
        queue(session, cfg, weights, job, wait, None if wait else rng)
    session.wait()
    results = session.results(build(cfg).run(session.script))
    for at, (weights, job) in enumerate(layers):
        same(cfg, results[:len(weights)], weights, job, f"seed {seed}, layer {at}")
        del results[:len(weights)]
    assert not results
    return sum(len(weights) - 1 for weights, _ in layers)


@pytest.mark.parametrize("wait", [True, False], ids=["in turn", "overlapped"])
@pytest.mark.parametrize("stalls", [0.0, 0.3])
@pytest.mark.parametrize("name", CONFIGS)
def test_layers_back_to_back(name, stalls, wait):
    assert layers_in_a_row(CONFIGS[name], 11, stalls, 12, wait) > 12


def test_outputs_that_do_not_leave_hold_the_next_job():
    """It runs as far as its own first outputs, and says for how long it waited there."""
    cfg = CONFIGS["one slice"]
    weights, job = made(cfg, np.random.default_rng(4), 3, mode=Mode.CTA)
    session = Session(cfg, Script(1))
    session.script.stall("out", 0.97, 400, 5)
    queue(session, cfg, weights, job, wait=False).wait()
    results = session.results(build(cfg).run(session.script))
    same(cfg, results, weights, job, "blocked")
    assert results[0].held == 0 and max(result.held for result in results[1:]) > 300


@pytest.mark.reliability
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.nightly)
                                       for seed in range(1, 24))])
def test_random_configurations(seed, tried):
    heads = layers_in_a_row(random_config(seed + 500), seed, 0.2 * (seed % 2), 6, seed % 4 > 1)
    tried("heads that reuse clusters", configurations=1, heads=heads)


def test_what_a_reuse_needs():
    """Clusters of the same sizes. A refused job leaves them, as do tokens loaded in between."""
    cfg = CONFIGS["one slice"]
    rng = np.random.default_rng(3)
    n, m = 9, 14
    drawn = [random_job(cfg, rng, n, m) for _ in range(3)]
    weights, job = layer_of(drawn)[0], drawn[0][1]
    model, session, due = Admission(cfg), Session(cfg, Script(1)), []

    def ask(head, **fields):
        session.job(weights[head], job, reload=False, **fields)
        due.append(model.job(**{"n": n, "m": m, "cross": 1, "mode": job.mode} | fields))

    def load(what):
        session.load(what)
        for one in what:
            model.load(one.target, one.set, one.base, len(one.rows))

    load(weight_loads(cfg, weights[0]) + token_loads(job))
    ask(0, reuse=1)                     # nothing is there yet
    ask(0)
    for fields in {"n": n + 1}, {"m": m - 1}, {"mode": Mode.EXACT}, {"n": 0}, {"set": 1}:
        ask(1, reuse=1, **fields)
    ask(0)                              # its tokens are used up
    load(weight_loads(cfg, weights[1]) + token_loads(job))
    ask(1, reuse=1)                     # leaves the tokens to a job that needs them
    ask(1)
    load(weight_loads(cfg, weights[2]))
    ask(2, reuse=1)
    results = session.results(build(cfg).run(session.script))
    codes = [result.code if isinstance(result, Refused) else ErrorCode.NONE for result in results]
    assert codes == due
    assert codes == [ErrorCode.REUSE, 0, *[ErrorCode.REUSE] * 3, ErrorCode.TOKENS,
                     ErrorCode.WEIGHT_SET, ErrorCode.LOAD, 0, 0, 0]
    accepted = [result for result in results if not isinstance(result, Refused)]
    for (head, reuse), result in zip(((0, 0), (1, 1), (1, 0), (2, 1)), accepted, strict=True):
        check(cfg, weights[head], job, result, f"head {head}", reuse=bool(reuse))


def test_an_exact_job_has_its_tokens_for_clusters():
    """Where others have come, it cannot be run again on those of before."""
    cfg = CONFIGS["one slice"]
    weights, job = made(cfg, np.random.default_rng(6), 2, mode=Mode.EXACT)
    session = queue(Session(cfg, Script(1)), cfg, weights, job)
    session.job(weights[1], job.head(1), reuse=True)
    session.load(token_loads(job.head(0))).job(weights[1], job.head(1), reload=False, reuse=True)
    *results, refused = session.results(build(cfg).run(session.script))
    same(cfg, [results[0], results[2]], weights, job, "again")
    assert isinstance(refused, Refused) and refused.code is ErrorCode.REUSE


@pytest.mark.reliability
@pytest.mark.parametrize("mode", Mode)
def test_reset_at_any_cycle_of_a_head_that_reuses(mode, tried):
    """The clusters are forgotten, and the next layer runs as if nothing had been."""
    cfg = CTAConfig(b=2, d=8, l=2, n=6)
    rng = np.random.default_rng(7)
    weights, job = made(cfg, rng, 2, mode=mode)
    alone = queue(Session(cfg, Script(1)), cfg, weights, job)
    first, second = alone.results(build(cfg).run(alone.script))
    length = second.cycles + len(second.o) * (cfg.groups + 2) + 2 * cfg.n + 6
    session = Session(cfg, Script(1))
    for at in range(length):
        session.load(weight_loads(cfg, weights[0]) + token_loads(job.head(0)))
        session.job(weights[0], job.head(0), reload=False).load(weight_loads(cfg, weights[1]))
        session.job(weights[1], job.head(1), reload=False, reuse=True, wait=False).reset(at)
        session.jobs.clear()
        session.job(weights[1], job.head(1), reload=False, reuse=True)
        queue(session, cfg, weights, job).reset(0)
    jobs = session.jobs
    parts = attempts(build(cfg).run(session.script))
    for at, part in enumerate(parts[1::2]):
        session.jobs = jobs
        refused, *results = session.results(part)
        assert refused.code is ErrorCode.REUSE, f"reset at {at}"
        same(cfg, results, weights, job, f"{mode.name}, reset at {at}")
    assert len(parts[1::2]) == length
    tried("one-cycle reset", configurations=1, positions_in_jobs=length)


def test_the_rest_of_a_layer_costs_no_clustering():
    """What is left of a head that reuses clusters is its linears and its attention."""
    whole = head_cycles(CTAConfig(), 512, 512, 322, 258, 29)
    again = head_cycles(CTAConfig(), 512, 512, 322, 258, 29, reuse=True)
    assert again.phases["compress"] == 2
    assert again.phases["linear"] == whole.phases["linear"]
    assert again.total == whole.total - whole.phases["compress"] + 2
