"""A linear job: rows in, rows out, on the array that holds the weights, for any linear layer of a model.

It is an exact job of which Q alone is computed and leaves in the place of O. So the output projection of
attention can work on the compressed rows: all heads of a layer share CT0, their outputs side by side have
k0 distinct rows, and the projection of a row is that of every token of its cluster.
"""

from dataclasses import dataclass, field

import numpy as np

from model.cta.centroid import centroids
from model.cta.config import CTAConfig
from model.cta.cycles import HeadCycles, head_cycles
from model.cta.job import ErrorCode, Matrix, Mode, Saturation
from model.cta.layout import BETAS, Load, Parameter, Target
from model.cta.linear import betas, linear
from model.errors import JobRefused, require_range, require_raw
from model.fixed import SHIFT, Format, round_half_up, saturate

__all__ = ["LinearWeights", "LinearJob", "LinearResult", "require_accepted", "run", "run_layer", "split",
           "as_tokens", "weight_loads", "token_loads", "job_fields", "job_cycles"]


@dataclass(frozen=True)
class LinearWeights:
    """Weights ``w`` (dw, d) in ``fmt.weight`` and ``b`` (d,) in accumulator units: d outputs of a layer."""

    w: np.ndarray
    b: np.ndarray


@dataclass(frozen=True)
class LinearJob:
    """Rows ``x`` (rows, dw) in ``fmt.token``; ``shift``, 0..31, takes accumulators to ``fmt.qkv``."""

    x: np.ndarray
    shift: int = 0


@dataclass
class LinearResult:
    """``y`` (rows, d) in ``fmt.qkv``; ``saturations`` by :class:`Saturation`; cycles as those of a head."""

    y: np.ndarray
    saturations: dict = field(default_factory=dict)
    cycles: int = 0
    held: int = 0
    phases: dict = field(default_factory=dict)


def require_accepted(cfg: CTAConfig, job: LinearJob) -> None:
    """Raise :class:`JobRefused` with the code that the engine answers, and why in words."""
    rows = len(job.x)
    if not 1 <= rows <= cfg.n:
        raise JobRefused(ErrorCode.TOKENS, f"a linear job has {rows} rows, must have 1..{cfg.n}")
    if rows > cfg.queries:
        raise JobRefused(ErrorCode.CAPACITY, f"a linear job has {rows} rows, must have at most {cfg.queries}")
    if cfg.program.linear is None:
        raise JobRefused(ErrorCode.LINEAR, f"the program {cfg.program.name!r} has no linear jobs, must be "
                                           "one whose weights stay")


def run(cfg: CTAConfig, weights: LinearWeights, job: LinearJob, reuse: bool = False) -> LinearResult:
    """y = sat(round_half_up(c w + b, shift)), c the rows in the format of a centroid.

    ``reuse``: the rows are those of the job before, and what saturated on their way to centroids has been
    counted there. Raises :class:`JobRefused` as :func:`require_accepted`, ValueError where an operand has the
    wrong shape or lies outside its format.
    """
    require_accepted(cfg, job)
    f, rows = cfg.fmt, len(job.x)
    x = np.asarray(require_raw("x", job.x, (rows, cfg.dw), f.token), dtype=np.int64)
    require_raw("w", weights.w, (cfg.dw, cfg.d), f.weight)
    require_raw("b", weights.b, (cfg.d,), f.bias)
    require_range("shift", job.shift, SHIFT.min, SHIFT.max)
    c, moved = centroids(cfg, x, np.arange(rows), rows)
    y, over = linear(cfg, c, weights.w, weights.b, job.shift)
    counts = dict.fromkeys(Saturation, 0) | {Saturation.CENTROID: 0 if reuse else moved,
                                             Saturation.LINEAR: over}
    return LinearResult(y, counts)


def split(cfg: CTAConfig, w: np.ndarray, b: np.ndarray) -> list[LinearWeights]:
    """A layer ``w`` (dw, out), ``b`` (out,) as jobs of d outputs each, the last filled up with zeros."""
    w, b = np.asarray(w, dtype=np.int64), np.asarray(b, dtype=np.int64)
    missing = -w.shape[1] % cfg.d
    w, b = np.pad(w, ((0, 0), (0, missing))), np.pad(b, (0, missing))
    return [LinearWeights(w[:, at:at + cfg.d], b[at:at + cfg.d]) for at in range(0, w.shape[1], cfg.d)]


def run_layer(cfg: CTAConfig, weights: list[LinearWeights], job: LinearJob) -> list[LinearResult]:
    """The jobs of a layer, each but the first on the rows of the one before."""
    return [run(cfg, one, job, reuse=at > 0) for at, one in enumerate(weights)]


def as_tokens(o: np.ndarray, shift: int, fmt: Format) -> tuple[np.ndarray, int]:
    """Outputs ``o`` as rows of a linear job, for the host: sat(round_half_up(o, shift)) in ``fmt``, and how
    many saturated. ``shift`` is the binary point of O less that of the rows; a negative one goes left."""
    o = np.asarray(o, dtype=np.int64)
    moved = o << -shift if shift < 0 else round_half_up(o, shift)
    rows, over = saturate(moved, fmt)
    return rows, int(np.count_nonzero(over))


def weight_loads(cfg: CTAConfig, weights: LinearWeights, index: int = 0) -> list[Load]:
    """The loads of a linear job's weights, in the place of Wq of weight set ``index``."""
    loads = [Load(Target.WQ, index, 0, weights.w.T), Load(Target.PARAMETER, index, Parameter.BQ, weights.b)]
    if cfg.program.fast:
        loads.append(Load(Target.PARAMETER, index, BETAS[Matrix.WQ], betas(cfg, weights.w)))
    return loads


def token_loads(job: LinearJob) -> list[Load]:
    """The loads that bring the rows."""
    return [Load(Target.TOKEN, 0, 0, job.x)]


def job_fields(job: LinearJob, index: int = 0, reuse: bool = False) -> dict:
    """The fields of the job word. All rows leave, in their order."""
    rows = len(job.x)
    return {"mode": int(Mode.EXACT), "cross": 0, "tables": 0, "shared_a": 0, "reuse": int(reuse),
            "clusters": 0, "set": index, "n": rows, "linear": 1, "m": rows, "shift_q": job.shift,
            "shift_k": 0, "shift_v": 0, "shift_s": 0, "shift_o": 0}


def job_cycles(cfg: CTAConfig, rows: int, *, reuse: bool = False, held: int = 0) -> HeadCycles:
    """Cycles of a linear job of ``rows`` rows; ``held`` as in :func:`model.cta.cycles.head_cycles`."""
    return head_cycles(cfg, rows, rows, rows, rows, 0, Mode.EXACT, reuse=reuse, held=held, linear=True)
