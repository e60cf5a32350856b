"""One attention head: operands checked, clustering and attention composed, events counted."""

import numpy as np

from model.cta.attention import attend
from model.cta.clustering import Clusters, cluster
from model.cta.config import CTAConfig
from model.cta.job import SHIFT_O, ErrorCode, HeadResult, HeadWeights, Job, Mode, Saturation
from model.errors import JobRefused, require_range, require_raw
from model.fixed import SHIFT

__all__ = ["JobRefused", "check", "require_accepted", "validate", "trace", "join", "result", "run"]


def _refusal(cfg: CTAConfig, job: Job) -> tuple[ErrorCode, str]:
    """The answer of :func:`check`, and why in words."""
    n = len(job.xkv)
    m = n if job.xq is None else len(job.xq)
    for name, count in (("n", n), ("m", m)):
        if not 1 <= count <= cfg.n:
            return ErrorCode.TOKENS, f"{name} is {count}, must be in 1..{cfg.n}"
    if job.xq is not None and n + m > cfg.tokens:
        return ErrorCode.TOKENS, (f"n + m is {n} + {m} in cross-attention, "
                                  f"must be at most {cfg.tokens} tokens")
    if job.mode == Mode.EXACT:
        for name, count in (("n", n), ("m", m)):
            if count > cfg.exact:
                return ErrorCode.CAPACITY, (f"{name} is {count} in exact mode, "
                                            f"must be at most {cfg.exact}")
    return ErrorCode.NONE, ""


def check(cfg: CTAConfig, weights: HeadWeights, job: Job) -> ErrorCode:
    """What the engine answers to the job: the first code that applies, in the order of the enum.

    WEIGHT_SET and SELF are faults of a job descriptor (a set number, an m beside self-attention)
    that a :class:`Job`, which holds its operands, cannot express.
    """
    return _refusal(cfg, job)[0]


def require_accepted(cfg: CTAConfig, job: Job) -> None:
    """Raise :class:`JobRefused`, with the reason, where :func:`check` gives a code."""
    code, reason = _refusal(cfg, job)
    if code != ErrorCode.NONE:
        raise JobRefused(code, reason)


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


def trace(cfg: CTAConfig, weights: HeadWeights, job: Job, reuse: bool = False) -> dict:
    """Every tensor between the stages, by name, and the events; what benches compare against.

    ``codes0 codes1 codes2`` (None in exact mode), ``ct0 ct1 ct2``, ``k0 k1 k2``, ``residual``
    (None in exact mode), ``c0 c1 c2``, ``q k v``, ``s``, ``banks``, ``ap``, ``o_rows`` (k0, d),
    ``o`` (m, d), ``saturations``, ``overflow``, ``zero_rows``. ``reuse`` as :func:`join`.

    Raises :class:`JobRefused` where :func:`check` gives a code, ValueError where an operand has
    the wrong shape or lies outside its format.
    """
    require_accepted(cfg, job)
    xq, xkv = validate(cfg, weights, job)
    found = cluster(cfg, weights.lsh, xq, xkv, job.mode == Mode.EXACT)
    return join(found, cfg, weights, job, reuse)


def join(found: Clusters, cfg: CTAConfig, weights: HeadWeights, job: Job,
         reuse: bool = False) -> dict:
    """As :func:`trace`, from clusters that are there already.

    ``reuse``: they have been reported by the job that made them, so that what saturated then does
    not count again.
    """
    own = attend(cfg, weights, job, found)
    before = {} if reuse else found.saturations
    return {**vars(found), **own, "o": own["o_rows"][found.ct0],
            "saturations": {kind: before.get(kind, 0) + own["saturations"].get(kind, 0)
                            for kind in Saturation}}


def result(t: dict) -> HeadResult:
    """What of a trace a host is told."""
    return HeadResult(**{name: t[name] for name in (
        "o", "ct0", "ct1", "ct2", "k0", "k1", "k2", "saturations", "overflow", "zero_rows")})


def run(cfg: CTAConfig, weights: HeadWeights, job: Job, reuse: bool = False) -> HeadResult:
    """The head's output and report. Raises as :func:`trace` does."""
    return result(trace(cfg, weights, job, reuse))
