"""One attention head: the stages composed, operands checked, events counted."""

import numpy as np

from model.cta.centroid import centroids, residuals
from model.cta.cluster_index import cluster_table
from model.cta.config import CTAConfig
from model.cta.job import SHIFT_O, ErrorCode, HeadResult, HeadWeights, Job, Mode, Saturation
from model.cta.linear import linear
from model.cta.lsh import hash_codes
from model.cta.output import outputs
from model.cta.probability import aggregate, normalise
from model.cta.score import scores
from model.errors import JobRefused, require_range, require_raw
from model.fixed import SHIFT

__all__ = ["JobRefused", "check", "validate", "trace", "run"]


def _refusal(cfg: CTAConfig, job: Job) -> tuple[ErrorCode, str]:
    n = len(job.xkv)
    m = n if job.xq is None else len(job.xq)
    for name, count in (("n", n), ("m", m)):
        if not 1 <= count <= cfg.n:
            return ErrorCode.TOKENS, f"{name} is {count}, must be in 1..{cfg.n}"
    if job.mode == Mode.EXACT:
        for name, count, limit in (("n", n, cfg.k1), ("m", m, cfg.k0)):
            if count > limit:
                return ErrorCode.CAPACITY, (f"{name} is {count} in exact mode, "
                                            f"must be at most {limit} clusters")
    return ErrorCode.NONE, ""


def check(cfg: CTAConfig, weights: HeadWeights, job: Job) -> ErrorCode:
    """What the engine answers to the job: the first code that applies, in the order of the enum.

    WEIGHT_SET and SELF are faults of a job descriptor (a set number, an m beside self-attention)
    that a :class:`Job`, which holds its operands, cannot express.
    """
    return _refusal(cfg, job)[0]


def validate(cfg: CTAConfig, weights: HeadWeights, job: Job) -> tuple[np.ndarray, np.ndarray]:
    """The token tensors, after every operand was held against its shape and format."""
    f = cfg.fmt
    xkv = require_raw("xkv", job.xkv, (len(job.xkv), cfg.dw), f.token)
    xq = xkv if job.xq is None else require_raw("xq", job.xq, (len(job.xq), cfg.dw), f.token)
    for name in ("wq", "wk", "wv"):
        require_raw(name, getattr(weights, name), (cfg.dw, cfg.d), f.weight)
    for name in ("bq", "bv"):
        require_raw(name, getattr(weights, name), (cfg.d,), f.bias)
    for c, p in enumerate(weights.lsh):
        require_raw(f"lsh[{c}].a", p.a, (cfg.l, cfg.dw), f.lsh_a)
        require_raw(f"lsh[{c}].b", p.b, (cfg.l,), f.bias)
        require_range(f"lsh[{c}].inv_w", p.inv_w, 0, f.multiplier.max)
        require_range(f"lsh[{c}].pre", p.pre, SHIFT.min, SHIFT.max)
        require_range(f"lsh[{c}].post", p.post, SHIFT.min, SHIFT.max)
    for name in ("shift_q", "shift_k", "shift_v", "shift_s"):
        require_range(name, getattr(job, name), SHIFT.min, SHIFT.max)
    require_range("shift_o", job.shift_o, SHIFT_O.min, SHIFT_O.max)
    return xq.astype(np.int64), xkv.astype(np.int64)


def trace(cfg: CTAConfig, weights: HeadWeights, job: Job) -> dict:
    """Every tensor between the stages, by name, and the events; what benches compare against.

    ``codes0 codes1 codes2`` (None in exact mode), ``ct0 ct1 ct2``, ``k0 k1 k2``, ``residual``
    (None in exact mode), ``c0 c1 c2``, ``q k v``, ``s``, ``banks``, ``ap``, ``o_rows`` (k0, d),
    ``o`` (m, d), ``saturations``, ``overflow``, ``zero_rows``.

    Raises :class:`JobRefused` where :func:`check` gives a code, ValueError where an operand has
    the wrong shape or lies outside its format.
    """
    code, reason = _refusal(cfg, job)
    if code != ErrorCode.NONE:
        raise JobRefused(code, reason)
    xq, xkv = validate(cfg, weights, job)
    exact = job.mode == Mode.EXACT
    sat = dict.fromkeys(Saturation, 0)

    def counted(kind, result):
        value, moved = result
        sat[kind] += moved
        return value

    def hashed(x, c):
        return counted(Saturation.HASH, hash_codes(cfg, x, weights.lsh[c]))

    def mean(x, ct, k):
        return counted(Saturation.CENTROID, centroids(cfg, x, ct, k))

    if exact:
        codes0 = codes1 = codes2 = residual = None
        ct0, ct1, ct2 = np.arange(len(xq)), np.arange(len(xkv)), np.zeros(len(xkv), np.int64)
        k0, k1, k2 = len(xq), len(xkv), 0
        over = (0, 0, 0)
        c0, c1 = mean(xq, ct0, k0), mean(xkv, ct1, k1)
        c2 = np.zeros((0, cfg.dw), dtype=np.int64)
    else:
        codes0, codes1 = hashed(xq, 0), hashed(xkv, 1)
        ct0, k0, over0 = cluster_table(cfg, codes0, cfg.k0)
        ct1, k1, over1 = cluster_table(cfg, codes1, cfg.k1)
        c0, c1 = mean(xq, ct0, k0), mean(xkv, ct1, k1)
        residual = counted(Saturation.RESIDUAL, residuals(cfg, xkv, c1, ct1))
        codes2 = hashed(residual, 2)
        ct2, k2, over2 = cluster_table(cfg, codes2, cfg.k2)
        c2 = mean(residual, ct2, k2)
        over = (over0, over1, over2)

    def project(c, w, bias, shift):
        return counted(Saturation.LINEAR, linear(cfg, c, w, bias, shift))

    q = project(c0, weights.wq, weights.bq, job.shift_q)
    k = project(np.concatenate([c1, c2]), weights.wk, None, job.shift_k)
    # A value is the sum of a row of each level: its bias stands in level 1 alone.
    v = np.concatenate([project(c1, weights.wv, weights.bv, job.shift_v),
                        project(c2, weights.wv, None, job.shift_v)])

    s = counted(Saturation.SCORE, scores(cfg, q, k, k1, job.shift_s, exact))
    banks = counted(Saturation.PROB, aggregate(cfg, s, ct1, ct2, k1, exact))
    ap = normalise(cfg, banks)
    o_rows, sat[Saturation.OUTPUT], zero_rows = outputs(cfg, ap, v, job.shift_o, exact)

    return {"codes0": codes0, "codes1": codes1, "codes2": codes2, "residual": residual,
            "ct0": ct0, "ct1": ct1, "ct2": ct2, "k0": k0, "k1": k1, "k2": k2,
            "c0": c0, "c1": c1, "c2": c2, "q": q, "k": k, "v": v, "s": s,
            "banks": banks, "ap": ap, "o_rows": o_rows, "o": o_rows[ct0],
            "saturations": sat, "overflow": over, "zero_rows": zero_rows}


def run(cfg: CTAConfig, weights: HeadWeights, job: Job) -> HeadResult:
    """The head's output and report. Raises as :func:`trace` does."""
    t = trace(cfg, weights, job)
    return HeadResult(**{name: t[name] for name in (
        "o", "ct0", "ct1", "ct2", "k0", "k1", "k2", "saturations", "overflow", "zero_rows")})
