"""The head: every tensor of small jobs against the oracle's stages, refusals, corners, speed."""

import time
from dataclasses import replace

import numpy as np
import pytest

from model.cta import head
from model.cta.config import CTAConfig
from model.cta.job import ErrorCode, Job, Mode, Saturation
from model.cta.stimulus import PATTERNS, patterned_job, random_job
from model.fixed import floor_shift, round_half_up, wrap
from tests.model.cta import oracle

CONFIGS = [CTAConfig(b=2, d=8, n=24, tokens=48),
           CTAConfig(b=4, d=8, dw=24, l=8, n=24, tokens=40, digit=4),
           CTAConfig(b=2, d=16, l=1, n=24, digit=1),
           CTAConfig(b=2, d=8, n=24, tokens=48, k0=5, k1=7, k2=3, exact=7)]
SIZES = [(1, None), (1, 3), (2, None), (13, None), (24, 7), (5, 24)]


def by_oracle(cfg, weights, job):
    """``head.trace`` from the oracle's stages."""
    exact = job.mode == Mode.EXACT
    xkv = job.xkv.tolist()
    xq = xkv if job.xq is None else job.xq.tolist()
    m, n = len(xq), len(xkv)
    sat = dict.fromkeys(Saturation, 0)

    def add(kind, pair):
        sat[kind] += pair[1]
        return pair[0]

    def clear(node, slot):
        return False, None

    codes = {}

    def table(c, x, capacity):
        codes[f"codes{c}"] = add(Saturation.HASH, oracle.hash_codes(cfg, x, weights.lsh[c]))
        return oracle.cluster_table(cfg, codes[f"codes{c}"], capacity, clear)

    def mean(x, ct, k):
        return add(Saturation.CENTROID, oracle.centroids(cfg, x, ct, k))

    def linear(c, w, bias, shift):
        return add(Saturation.LINEAR, oracle.linear(cfg, c, w, bias, shift))

    if exact:
        ct0, ct1, ct2, k0, k1, k2 = list(range(m)), list(range(n)), [0] * n, m, n, 0
        c0, c1, c2, overflow = mean(xq, ct0, k0), mean(xkv, ct1, k1), [], (0, 0, 0)
    else:
        ct0, k0, over0 = table(0, xq, cfg.k0)
        ct1, k1, over1 = table(1, xkv, cfg.k1)
        c0, c1 = mean(xq, ct0, k0), mean(xkv, ct1, k1)
        residual = add(Saturation.RESIDUAL, oracle.residuals(cfg, xkv, c1, ct1))
        ct2, k2, over2 = table(2, residual, cfg.k2)
        c2 = mean(residual, ct2, k2)
        overflow = over0, over1, over2
    q = linear(c0, weights.wq, weights.bq, job.shift_q)
    k = linear(c1 + c2, weights.wk, None, job.shift_k)
    v = (linear(c1, weights.wv, weights.bv, job.shift_v)
         + linear(c2, weights.wv, None, job.shift_v))
    s = add(Saturation.SCORE, oracle.scores(cfg, q, k, k1, job.shift_s, exact))
    banks = add(Saturation.PROB, oracle.aggregate(cfg, s, ct1, ct2, k1, exact))
    ap = oracle.normalise(cfg, banks)
    o, sat[Saturation.OUTPUT], zero_rows = oracle.outputs(cfg, ap, v, job.shift_o, exact)
    return {**codes, "ct0": ct0, "ct1": ct1, "ct2": ct2, "k0": k0, "k1": k1, "k2": k2,
            "c0": c0, "c1": c1, "c2": c2, "q": q, "k": k, "v": v, "s": s, "banks": banks, "ap": ap,
            "o_rows": o, "o": [o[cluster] for cluster in ct0], "saturations": sat, "overflow": overflow,
            "zero_rows": zero_rows}


def assert_same(got, want, where):
    for name, value in want.items():
        mine = got[name].tolist() if isinstance(got[name], np.ndarray) else got[name]
        assert mine == value, f"{name} differs, {where}"


def legal(cfg, n, m, mode):
    fits = m is None or n + m <= cfg.tokens
    return fits and (mode == Mode.CTA or max(n, m or n) <= cfg.exact)


@pytest.mark.parametrize("cfg", CONFIGS, ids=lambda c: f"d{c.d}dw{c.dw}l{c.l}k{c.k1}")
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("saturating", [False, True])
def test_every_tensor_of_random_jobs(cfg, mode, saturating):
    for seed, (n, m) in enumerate(SIZES):
        if not legal(cfg, n, m, mode):
            continue
        rng = np.random.default_rng(seed)
        weights, job = random_job(cfg, rng, n, m, mode, saturating=saturating)
        assert_same(head.trace(cfg, weights, job), by_oracle(cfg, weights, job),
                    f"seed {seed}, n {n}, m {m}")


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("mode", Mode)
def test_every_tensor_of_corner_cases(pattern, mode):
    for cfg in CONFIGS[0], CONFIGS[3]:
        for n, m in ((1, None), (6, 4), (24, None)):
            if not legal(cfg, n, m, mode):
                continue
            weights, job = patterned_job(cfg, np.random.default_rng(n), pattern, n, m, mode)
            assert_same(head.trace(cfg, weights, job), by_oracle(cfg, weights, job),
                        f"n {n}, m {m}")


def test_run_reports_what_trace_has():
    cfg = CONFIGS[3]
    weights, job = random_job(cfg, np.random.default_rng(0), 24, 9, spread=3.0)
    t, r = head.trace(cfg, weights, job), head.run(cfg, weights, job)
    assert np.array_equal(r.o, t["o"]) and r.o.shape == (9, cfg.d)
    assert (r.k0, r.k1, r.k2) == (cfg.k0, cfg.k1, cfg.k2) and min(r.overflow) > 0
    for name in ("overflow", "saturations", "zero_rows"):
        assert getattr(r, name) == t[name]


def test_self_attention_is_cross_attention_with_itself():
    cfg = CONFIGS[0]
    weights, job = random_job(cfg, np.random.default_rng(4), 17)
    own, cross = head.run(cfg, weights, job), head.run(cfg, weights, replace(job, xq=job.xkv))
    assert np.array_equal(own.o, cross.o) and own.saturations == cross.saturations


def test_scores_far_apart():
    """No score shift at all: scores saturate, whole rows underflow to a zero denominator."""
    cfg = CONFIGS[0]
    zero_rows = saturated = 0
    for seed in range(4):
        for pattern in PATTERNS:
            weights, job = patterned_job(cfg, np.random.default_rng(seed), pattern, 6)
            job = replace(job, shift_s=0)
            t = head.trace(cfg, weights, job)
            assert_same(t, by_oracle(cfg, weights, job), f"seed {seed}, {pattern}")
            dead = t["ap"].sum(axis=1) == 0
            assert not t["o_rows"][dead].any() and t["zero_rows"] == dead.sum()
            zero_rows += t["zero_rows"]
            saturated += t["saturations"][Saturation.SCORE]
    assert zero_rows and saturated


@pytest.mark.parametrize("stage, name, fault", [
    ("lsh", "floor_shift", lambda raw, shift: -(-np.asarray(raw) >> np.asarray(shift))),
    ("centroid", "clog2", lambda count: int(count).bit_length()),
    ("centroid", "round_half_up", floor_shift),
    ("linear", "round_half_up", floor_shift),
    ("score", "round_half_up", floor_shift),
    ("probability", "round_half_up", floor_shift),
    ("output", "floor_shift", round_half_up),
    ("output", "saturate", lambda raw, fmt: (wrap(raw, fmt), wrap(raw, fmt) != raw)),
    ("clustering", "cluster_table", lambda cfg, codes, capacity: (
        np.arange(len(codes)) % 2, min(2, len(codes)), 0)),
])
def test_the_comparison_sees_a_fault(monkeypatch, stage, name, fault):
    monkeypatch.setattr(f"model.cta.{stage}.{name}", fault)
    with pytest.raises(AssertionError, match="differs"):
        for saturating in False, True:
            test_every_tensor_of_random_jobs(CONFIGS[0], Mode.CTA, saturating)


# -- refusals --------------------------------------------------------------------------------------

@pytest.mark.parametrize("n, m, mode, code, text", [
    (0, None, Mode.CTA, ErrorCode.TOKENS, "n is 0, must be in 1..24"),
    (25, None, Mode.CTA, ErrorCode.TOKENS, "n is 25, must be in 1..24"),
    (4, 0, Mode.CTA, ErrorCode.TOKENS, "m is 0, must be in 1..24"),
    (4, 25, Mode.EXACT, ErrorCode.TOKENS, "m is 25, must be in 1..24"),
    (8, 5, Mode.EXACT, ErrorCode.CAPACITY, "n is 8 in exact mode, must be at most 7"),
    (7, 8, Mode.EXACT, ErrorCode.CAPACITY, "m is 8 in exact mode, must be at most 7"),
])
def test_refused_jobs(n, m, mode, code, text):
    cfg = CONFIGS[3]
    weights, job = random_job(cfg, np.random.default_rng(0), 4)
    job = Job(np.zeros((n, cfg.dw), np.int64),
              None if m is None else np.zeros((m, cfg.dw), np.int64), mode)
    assert head.check(cfg, weights, job) == code
    with pytest.raises(head.JobRefused, match=text) as error:
        head.run(cfg, weights, job)
    assert error.value.code == code and code.name in str(error.value)


def test_the_largest_legal_exact_job():
    cfg = CONFIGS[3]
    weights, job = random_job(cfg, np.random.default_rng(0), 7, 5, Mode.EXACT)
    assert head.check(cfg, weights, job) == ErrorCode.NONE
    assert head.run(cfg, weights, job).o.shape == (5, cfg.d)


@pytest.mark.parametrize("target, change, text", [
    ("job", {"xkv": np.full((4, 8), 4096)}, r"xkv has values in \[4096, 4096\], must be in \[-4096,"),
    ("job", {"xkv": np.zeros((4, 9), int)}, r"xkv has shape \(4, 9\), must be \(4, 8\)"),
    ("job", {"xkv": np.zeros((4, 8))}, "xkv has dtype float64, must be raw integers"),
    ("job", {"xq": np.full((4, 8), -4097)}, "xq has values in"),
    ("job", {"shift_q": 32}, r"shift_q is 32, must be in 0\.\.31"),
    ("job", {"shift_s": -1}, r"shift_s is -1, must be in 0\.\.31"),
    ("job", {"shift_o": 8}, r"shift_o is 8, must be in -8\.\.7"),
    ("weights", {"wk": np.full((8, 8), 2048)}, "wk has values in"),
    ("weights", {"wv": np.zeros((8, 7), int)}, r"wv has shape \(8, 7\)"),
    ("weights", {"bv": np.full(8, 2**23)}, "bv has values in"),
    ("lsh", {"a": np.full((6, 8), 2048)}, r"lsh\[1\]\.a has values in"),
    ("lsh", {"b": np.zeros(5, int)}, r"lsh\[1\]\.b has shape \(5,\), must be \(6,\)"),
    ("lsh", {"inv_w": 4096}, r"lsh\[1\]\.inv_w is 4096, must be in 0\.\.4095"),
    ("lsh", {"post": 32}, r"lsh\[1\]\.post is 32, must be in 0\.\.31"),
])
def test_operands_outside_their_formats(target, change, text):
    cfg = CONFIGS[0]
    weights, job = random_job(cfg, np.random.default_rng(0), 4)
    if target == "job":
        job = replace(job, **change)
    elif target == "weights":
        weights = replace(weights, **change)
    else:
        lsh = list(weights.lsh)
        lsh[1] = replace(lsh[1], **change)
        weights = replace(weights, lsh=tuple(lsh))
    with pytest.raises(ValueError, match=text):
        head.run(cfg, weights, job)


# -- speed -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("cfg", [CTAConfig(), CTAConfig(dw=1024)], ids=["T1", "T16"])
def test_a_full_head_takes_well_under_a_second(cfg):
    weights, job = random_job(cfg, np.random.default_rng(1), cfg.n, spread=3.0)
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        head.run(cfg, weights, job)
        best = min(best, time.perf_counter() - start)
    assert best < 1.0
