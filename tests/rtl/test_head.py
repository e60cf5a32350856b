"""Whole heads on the Verilog of the accelerator: bit for bit the golden model, cycle for cycle the
cycle model, for configurations at the edges of what is legal."""

import dataclasses

import numpy as np
import pytest

from model.cta import head, stimulus
from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.job import ErrorCode, Mode, Saturation
from model.cta.layout import Load, Target, token_loads
from sw.sim.cta import Refused, Session, build, run_jobs
from sw.sim.engine import Script

CONFIGS = {
    # Room for as many queries as keys; two banks of sums.
    "plain": CTAConfig(b=4, d=8, l=2, n=64, tokens=128, sums=2),
    # Five hashes on two columns and three slices: passes, hash buffers, partial sums, spares.
    "narrow": CTAConfig(b=2, d=8, dw=24, l=5, n=48, pag=2, sets=2, lanes=4, digit=4),
    # No column is free for CAG, few clusters: spares and overflow at every level.
    "crowded": CTAConfig(b=8, d=16, l=8, n=40, k0=20, k1=9, k2=5, exact=17, pag=4),
    # Wider than high: batches of K and V must not meet in a lane.
    "wide": CTAConfig(b=16, d=8, dw=16, l=4, n=33, tokens=50, ahead=False, pag=8,
                      digit=1),
    # Two slices at once, in few lanes: queues in front of them fill.
    "fast": CTAConfig(b=4, d=8, dw=32, l=5, n=40, tokens=60, exact=23, k0=31, sets=2, lanes=4,
                      products="fast"),
}


def check(cfg, weights, job, result, note, reuse=False):
    """The result of the RTL against golden model and cycle model."""
    golden = head.run(cfg, weights, job, reuse)
    for name in ("o", "ct0", "ct1", "ct2"):
        np.testing.assert_array_equal(getattr(result, name), getattr(golden, name),
                                      err_msg=f"{name}: {note}")
    for name in ("k0", "k1", "k2", "overflow", "zero_rows", "saturations"):
        assert getattr(result, name) == getattr(golden, name), f"{name}: {note}"
    n, m = len(job.xkv), len(job.xkv if job.xq is None else job.xq)
    cycles = head_cycles(cfg, n, m, golden.k0, golden.k1, golden.k2, job.mode, weights.shared_a,
                         reuse, result.held, job.xq is not None)
    assert (result.cycles, result.phases) == (cycles.total, cycles.phases), note


def jobs_for(cfg, seed):
    """Jobs of every kind for one configuration, in one order by seed."""
    rng = np.random.default_rng(seed)

    def size(limit=cfg.n):
        return int(rng.integers(1, limit + 1))

    jobs = [(f"pattern {p} n={n}", *stimulus.patterned_job(cfg, rng, p, n))
            for p in stimulus.PATTERNS for n in (size(), cfg.n)]
    for mode in Mode:
        limit = cfg.n if mode is Mode.CTA else cfg.exact
        most = min(limit, cfg.tokens - 1)         # beside one token of the other tensor
        keys = size(most)
        for n, m in ((1, None), (1, most), (most, 1), (limit, None), (size(limit), None),
                     (keys, size(min(limit, cfg.tokens - keys)))):
            jobs.append((f"random {mode.name} n={n} m={m}",
                         *stimulus.random_job(cfg, rng, n, m, mode=mode)))
            jobs.append((f"saturating {mode.name} n={n} m={m}",
                         *stimulus.random_job(cfg, rng, n, m, mode=mode, saturating=True)))
    # Scores so steep that they saturate, and that whole rows of probabilities vanish.
    for drop in (4, 7, 9) * 3:
        weights, job = stimulus.random_job(cfg, rng, cfg.n)
        steep = dataclasses.replace(job, shift_s=max(0, job.shift_s - drop))
        jobs.append((f"steep by {drop}", weights, steep))
    return [jobs[i] for i in rng.permutation(len(jobs))]


@pytest.mark.parametrize("stalls", [0.0, 0.4])
@pytest.mark.parametrize("name", CONFIGS)
def test_back_to_back_jobs(name, stalls):
    cfg, seed = CONFIGS[name], 7 + int(10 * stalls)
    jobs = jobs_for(cfg, seed)
    results = run_jobs(cfg, [job[1:] for job in jobs], stalls=stalls, seed=seed)
    for (note, weights, job), result in zip(jobs, results, strict=True):
        check(cfg, weights, job, result, f"{name}, seed {seed}, {note}")


def test_jobs_cover_what_they_claim():
    """The jobs above do saturate, overflow, and leave denominators of zero where they say so."""
    kinds, overflows, zero_rows = set(), 0, 0
    for cfg in CONFIGS.values():
        for _, weights, job in jobs_for(cfg, 7):
            golden = head.run(cfg, weights, job)
            kinds |= {kind for kind, count in golden.saturations.items() if count}
            overflows += any(golden.overflow)
            zero_rows += golden.zero_rows
    assert kinds == set(Saturation) and overflows and zero_rows


@pytest.mark.parametrize("name", ["plain", "narrow"])
def test_reset_in_mid_job(name):
    """A reset at any point of a job leaves an accelerator that runs the next job correctly."""
    cfg = CONFIGS[name]
    rng = np.random.default_rng(3)
    weights, job = stimulus.random_job(cfg, rng, cfg.n)
    total = run_jobs(cfg, [(weights, job)])[0].cycles
    session = Session(cfg, Script(3))
    for after in rng.integers(1, total, size=12):
        session.job(weights, job, wait=False).reset(int(after))
        session.jobs.pop()
        other = stimulus.random_job(cfg, rng, int(rng.integers(1, cfg.n + 1)))
        session.job(*other)
        session.jobs[-1]["check"] = (int(after), *other)
    run = build(cfg).run(session.script)
    # Outputs of a job that the reset caught while it was sending are not there: it never gets so far.
    for values, result in zip(session.jobs, session.results(run), strict=True):
        after, weights, job = values["check"]
        check(cfg, weights, job, result, f"{name}, reset {after} cycles after the job word")


def test_refused_jobs_and_loads():
    """Illegal jobs and loads are refused by code; the accelerator goes on."""
    cfg = dataclasses.replace(CONFIGS["crowded"], sets=1)
    rng = np.random.default_rng(5)
    good = stimulus.random_job(cfg, rng, 9)
    weights, job = good
    session = Session(cfg, Script(5)).job(*good)
    expected = [None]
    for code, fields in ((ErrorCode.TOKENS, {"n": 0, "m": 0}), (ErrorCode.TOKENS, {"n": cfg.n + 1}),
                         (ErrorCode.TOKENS, {"m": 32767, "cross": 1}),
                         (ErrorCode.CAPACITY, {"mode": 1, "n": 18, "m": 18}),
                         (ErrorCode.TOKENS, {"n": 9, "m": cfg.tokens - 8, "cross": 1}),
                         (ErrorCode.CAPACITY, {"mode": 1, "n": 9, "m": 18, "cross": 1}),
                         (ErrorCode.WEIGHT_SET, {"set": 1}), (ErrorCode.SELF, {"m": 8})):
        session.job(weights, job, reload=False, **fields)
        expected.append(code)
    row = np.zeros((1, cfg.dw), dtype=np.int64)
    for load in (Load(Target.TOKEN, 0, cfg.tokens, row), Load(Target.WQ, 1, 0, row),
                 Load(Target.A2, 0, cfg.l, row), Load(Target.PARAMETER, 0, 768, row[:, 0])):
        session.load([load])
        session.job(weights, job, reload=False)
        expected.append(ErrorCode.LOAD)
    session.job(*good)
    expected.append(None)
    results = session.results(build(cfg).run(session.script))
    for index, (code, result) in enumerate(zip(expected, results, strict=True)):
        if code is None:
            check(cfg, weights, job, result, f"job {index}")
        else:
            assert isinstance(result, Refused) and result.code is code, f"job {index}"


def test_weight_sets_are_kept_apart():
    cfg = CONFIGS["narrow"]
    rng = np.random.default_rng(11)
    first, second = (stimulus.random_job(cfg, rng, 20) for _ in range(2))
    session = Session(cfg, Script(11)).job(*first, index=0).job(*second, index=1)
    # The first set again, with the tokens of the second job: nothing of set 1 may show.
    mixed = (first[0], dataclasses.replace(first[1], xkv=second[1].xkv, xq=None))
    session.load(token_loads(mixed[1])).job(*mixed, index=0, reload=False)
    results = session.results(build(cfg).run(session.script))
    for (weights, job), result in zip((first, second, mixed), results, strict=True):
        check(cfg, weights, job, result, "weight sets")
