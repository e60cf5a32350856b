"""Layers in raw integers, as an export holds them and the engines take them.

The common currency of quantisation (``sw.quant``) and images (``sw.export``): whatever made a layer,
its integers, points and shifts are here, checked. numpy only.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from model.border import Borders
from model.cta import head as cta
from model.cta.config import CTAConfig
from model.cta.job import HeadWeights, Job, LayerJob, LSHParams, Mode, Shifts
from model.cta.layer import same_lsh
from model.cta.quantise import Points
from model.errors import require_range
from model.lookup import layer as lookup
from model.lookup.config import LookupConfig
from model.lookup.job import Job as FFNJob
from model.lookup.job import LayerWeights, Order

__all__ = ["AttentionLayer", "FFNLayer", "identical"]

POINT = (-64, 64)    # beyond, a double precision number makes no sense of the integers
HEADS_MAX = 256


def _require_integers(record, names, prefix=""):
    for name in names:
        value = getattr(record, name)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise ValueError(f"{prefix}{name} is {value!r}, must be an integer")


def _require_points(record, names, prefix=""):
    _require_integers(record, names, prefix)
    for name in names:
        require_range(prefix + name, getattr(record, name), *POINT)


@dataclass(frozen=True)
class AttentionLayer:
    """One attention layer for the CTA engine, head by head.

    Parameters
    ----------
    cfg : the engine; ``d`` is the head dimension, ``dw`` the token dimension.
    mode : CTA, or exact attention on the same array.
    heads : one weight set a head. All have the same three LSHs: they share the clustering.
    points : of every head; ``token``, ``centroid`` and ``lsh_a`` are common to all.
    shifts : of every head; those of Q, K, V and O follow from the points.
    borders : what saturated when the weights became integers, all heads together, by tensor; empty
        where nobody counted.

    Raises ValueError for an operand of the wrong shape or beyond its format, and where heads,
    points and shifts do not agree.
    """

    cfg: CTAConfig
    mode: Mode
    heads: tuple[HeadWeights, ...]
    points: tuple[Points, ...]
    shifts: tuple[Shifts, ...]
    borders: Borders = dataclasses.field(default_factory=Borders)

    def __post_init__(self):
        if not isinstance(self.cfg, CTAConfig):
            raise ValueError(f"cfg is {type(self.cfg).__name__}, must be CTAConfig")
        object.__setattr__(self, "mode", Mode(self.mode))
        count = len(self.heads)
        if not 1 <= count <= HEADS_MAX:
            raise ValueError(f"heads has {count} entries, must be 1..{HEADS_MAX}")
        for name in ("points", "shifts"):
            if len(getattr(self, name)) != count:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries, must be "
                                 f"{count}, one a head")
        token = np.zeros((1, self.cfg.dw), np.int64)
        for head in range(count):
            try:
                self._check_head(head, token)
            except ValueError as error:
                raise ValueError(f"head {head}: {error}") from None

    def _check_head(self, head, token):
        points, shifts = self.points[head], self.shifts[head]
        _require_points(points, [f.name for f in dataclasses.fields(Points)], "points.")
        _require_integers(shifts, [f.name for f in dataclasses.fields(Shifts)], "shifts.")
        cta.validate(self.cfg, self.heads[head], self.job(head, token))
        first = self.points[0]
        for name in ("token", "centroid", "lsh_a"):
            if getattr(points, name) != getattr(first, name):
                raise ValueError(f"points.{name} is {getattr(points, name)}, must be "
                                 f"{getattr(first, name)} as in head 0")
        if points.centroid != points.token - self.cfg.residual_shift:
            raise ValueError(f"points.centroid is {points.centroid}, must be "
                             f"{points.token - self.cfg.residual_shift}, that of the token less "
                             f"{self.cfg.residual_shift}")
        due = {"q": points.centroid + points.wq - points.q,
               "k": points.centroid + points.wk - points.k,
               "v": points.centroid + points.wv - points.v, "o": points.v - points.o}
        for name, value in due.items():
            if getattr(shifts, name) != value:
                raise ValueError(f"shifts.{name} is {getattr(shifts, name)}, must be {value} "
                                 "as the points have it")
        if not same_lsh(self.heads[head], self.heads[0]):
            raise ValueError("lsh differs from that of head 0: the heads share the clustering")

    def tokens(self, x, borders: Borders | None = None, name: str = "x") -> np.ndarray:
        """Real tokens (n, dw) to raw int64, saturating; ``borders`` gets the counts.

        Raises NotFinite, a ValueError, for NaN and infinite values."""
        return (Borders() if borders is None else borders).quantise(
            name, self.cfg.fmt.token, x, self.points[0].token)

    def job(self, head: int, xkv_raw: np.ndarray, xq_raw: np.ndarray | None = None) -> Job:
        """The job of one head on raw tokens (n, dw); ``xq_raw`` (m, dw) is None for
        self-attention."""
        return self.layer_job(xkv_raw, xq_raw).head(head)

    def layer_job(self, xkv_raw: np.ndarray, xq_raw: np.ndarray | None = None) -> LayerJob:
        """The job of all heads; operands as :meth:`job`."""
        return LayerJob(xkv_raw, xq_raw, self.mode, self.shifts)

    def output(self, head: int, raw_o) -> np.ndarray:
        """Raw outputs of one head to real numbers, float64."""
        return self.cfg.fmt.output.real(raw_o, self.points[head].o)


@dataclass(frozen=True)
class FFNLayer:
    """One LookupFFN layer.

    ``gain``, ``skip``, ``shift_skip`` and ``shift_y`` are fields of every job, see
    :class:`model.lookup.job.Job`; ``point_x`` and ``point_y`` the fraction bits of tokens and of
    outputs (and of residuals, on engines that add them). ``borders`` as in
    :class:`AttentionLayer`. Raises ValueError as :func:`model.lookup.layer.validate`.
    """

    cfg: LookupConfig
    weights: LayerWeights
    gain: int
    skip: int
    shift_skip: int
    shift_y: int
    point_x: int
    point_y: int
    borders: Borders = dataclasses.field(default_factory=Borders)

    def __post_init__(self):
        if not isinstance(self.cfg, LookupConfig):
            raise ValueError(f"cfg is {type(self.cfg).__name__}, must be LookupConfig")
        _require_integers(self, ("gain", "skip", "shift_skip", "shift_y"))
        _require_points(self, ("point_x", "point_y"))
        token = np.zeros((1, self.cfg.d), np.int64)
        lookup.validate(self.cfg, self.weights,
                        self.job(token, residual=token if self.cfg.residual else None))
        if self.cfg.projection == "dense":
            for name in ("shift_block", "shift_hadamard"):
                if getattr(self.weights, name) is not None:
                    raise ValueError(f"{name} is given, must be None for a dense projection")

    def tokens(self, x, borders: Borders | None = None) -> np.ndarray:
        """Real tokens (t, d) to raw int64, saturating; ``borders`` gets the counts.

        Raises NotFinite, a ValueError, for NaN and infinite values."""
        return (Borders() if borders is None else borders).quantise(
            "x", self.cfg.fmt.x, x, self.point_x)

    def residual(self, x, borders: Borders | None = None) -> np.ndarray:
        """Real residuals (t, d) to raw int64, as :meth:`tokens` does."""
        return (Borders() if borders is None else borders).quantise(
            "residual", self.cfg.fmt.output, x, self.point_y)

    def job(self, x_raw: np.ndarray, order: Order = Order.TOKEN_MAJOR,
            residual: np.ndarray | None = None) -> FFNJob:
        """The job on raw tokens (t, d). Raises JobRefused for an order that the engine does not take."""
        lookup.require_order(self.cfg, order)
        return FFNJob(x_raw, residual, order, self.gain, self.skip, self.shift_skip, self.shift_y)

    def output(self, raw_y) -> np.ndarray:
        """Raw outputs to real numbers, float64."""
        return self.cfg.fmt.output.real(raw_y, self.point_y)


def identical(a, b) -> bool:
    """Whether two layers, or parts of them, hold the same integers; array types do not count."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is not None and b is not None and np.array_equal(a, b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, (AttentionLayer, FFNLayer, HeadWeights, LayerWeights, LSHParams)):
        return type(a) is type(b) and all(
            identical(getattr(a, field.name), getattr(b, field.name))
            for field in dataclasses.fields(a))
    return a == b
