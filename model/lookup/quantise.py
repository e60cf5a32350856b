"""From real numbers to the raw integers of a LookupFFN layer: binary points, shifts.

Every tensor has the power-of-two scale that its largest value asks for (docs/lookup.md). z and the
grid on which it is summed keep the points of their formats: a z is compared with zero, and its
weight has tables made for that point.

Three steps, as for a head of CTA: :func:`measure` takes the sizes of a layer's tensors on some tokens,
:func:`place` chooses the points that they ask for, :func:`raw_weights` makes integers. :func:`quantise`
does all three on the layer's own tokens; ``sw.quant.observe`` measures on many.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model import quantised
from model.border import Borders
from model.fixed import SHIFT, Format
from model.lookup.config import STAGES, LookupConfig
from model.lookup.job import Job, LayerWeights, Order
from model.lookup.reference import Layer, forward, project, stages, weights_of

__all__ = ["Peaks", "Points", "Quantised", "peak", "point", "measure", "place", "shifts",
           "raw_weights", "raw_mix", "quantise"]


@dataclass(frozen=True)
class Peaks:
    """Largest sizes: of tokens ``x``, of weights ``w`` (r, 4), of block products and transforms
    (r, 4), of scores and tables (h,), of the output bias, of ``y``, of the residual or None.

    A dense projection has one ``w`` and neither products nor transforms.
    """

    x: float
    w: np.ndarray
    product: np.ndarray | None
    transform: np.ndarray | None
    score: np.ndarray
    table: np.ndarray
    out_bias: float
    y: float
    residual: float | None = None


@dataclass(frozen=True)
class Points:
    """Fraction bits, real = raw / 2**point: shapes as in :class:`Peaks`; ``acc`` is that of the
    gather's accumulator and of the output bias."""

    x: int
    w: np.ndarray
    product: np.ndarray | None
    transform: np.ndarray | None
    table: np.ndarray
    acc: int
    y: int


@dataclass(frozen=True)
class Quantised(quantised.Quantised):
    """A layer in raw integers."""

    OUTPUT: ClassVar = "y"

    weights: LayerWeights
    job: Job
    points: Points


def peak(value, axis=None):
    """Largest absolute value; 0 of nothing."""
    return np.abs(value).max(axis=axis, initial=0.0)


def point(fmt: Format, size: float) -> int:
    """Most fraction bits with which ``size`` still fits ``fmt``; 31 for zero."""
    size = float(size) * (1 + 2.0**-fmt.width)
    return 31 if size == 0 else min(31, fmt.width - fmt.signed - math.ceil(math.log2(size)))


def _points(fmt, sizes):
    return np.array([point(fmt, size) for size in np.ravel(sizes)]).reshape(np.shape(sizes))


def _stage_points(cfg, peaks, x, w):
    """Points of products and transforms, none finer than what it comes from."""
    product, transform = np.empty_like(w), np.empty_like(w)
    for c in range(cfg.copies):
        before = x
        for j in range(STAGES):
            product[c, j] = min(point(cfg.fmt.stage, peaks.product[c, j]), before + w[c, j])
            before = transform[c, j] = min(point(cfg.fmt.stage, peaks.transform[c, j]),
                                           product[c, j])
    return product, transform


def measure(cfg: LookupConfig, real: Layer) -> Peaks:
    """Sizes of the layer's tensors on its own tokens."""
    z = project(cfg, real)
    w, product, transform = peak(real.w), None, None
    if cfg.projection == "bh4":
        w, product, transform = np.zeros((3, cfg.copies, STAGES))
        for c, j, u, y in stages(cfg, real):
            w[c, j], product[c, j], transform[c, j] = peak(real.w[c, j]), peak(u), peak(y)
    return Peaks(peak(real.x), w, product, transform, peak(weights_of(cfg, z), (0, 2)),
                 peak(real.tables, (1, 2)), peak(real.out_bias), peak(forward(cfg, real)),
                 None if real.residual is None else peak(real.residual))


def place(cfg: LookupConfig, peaks: Peaks) -> Points:
    """Points for a layer of these sizes. Whether shifts reach, :func:`model.lookup.layer.validate`
    says of the result."""
    f = cfg.fmt
    x, w = point(f.x, peaks.x), _points(f.weight, peaks.w)
    product = transform = None
    if cfg.projection == "bh4":
        product, transform = _stage_points(cfg, peaks, x, w)
    table = _points(f.table, peaks.table)
    score = np.minimum(_points(Format(False, f.score.width), peaks.score), cfg.score_point)
    # The one point of the accumulator: the coarsest that any table or the bias asks for.
    acc = min(int((table + score).min()), point(f.out_bias, peaks.out_bias))
    # A table far below the others is given fewer bits, for the sake of the shift's range.
    table = np.minimum(table, acc + SHIFT.max - cfg.score_point)
    y = min(point(f.output, peaks.y), acc)
    if peaks.residual is not None:
        y = min(y, point(f.output, peaks.residual))
    return Points(x, w, product, transform, table, acc, y)


def shifts(cfg: LookupConfig, points: Points) -> tuple[dict, dict]:
    """The shifts that follow: those of :class:`LayerWeights`, and those of a job."""
    p, f = points, cfg.fmt
    grid = f.z_bias.frac
    if cfg.projection == "dense":
        fields = {"shift_z": np.array([p.x + int(p.w) - grid])}
    else:
        before = np.concatenate([np.full((cfg.copies, 1), p.x), p.transform[:, :-1]], axis=1)
        fields = {"shift_z": p.transform[:, -1] + f.mix.frac - grid,
                  "shift_block": before + p.w - p.product,
                  "shift_hadamard": p.product - p.transform}
    return ({**fields, "shift_s": cfg.score_point - (p.acc - p.table)},
            {"shift_skip": p.x + f.mix.frac - grid, "shift_y": p.acc - p.y})


def raw_weights(cfg: LookupConfig, real: Layer, points: Points, borders: Borders) -> LayerWeights:
    """A layer in raw integers, counted in ``borders``; its tokens are not looked at."""
    f, p = cfg.fmt, points

    def raw(name, fmt, at):
        """``at`` has the leading axes of the tensor."""
        value = getattr(real, name)
        at = np.reshape(at, np.shape(at) + (1,) * (np.ndim(value) - np.ndim(at)))
        return borders.quantise(name, fmt, value, at)

    w, z_bias = raw("w", f.weight, p.w), raw("z_bias", f.z_bias, f.z_bias.frac)
    tables, out_bias = raw("tables", f.table, p.table), raw("out_bias", f.out_bias, p.acc)
    return LayerWeights(
        w=w, z_bias=z_bias, out_bias=out_bias,
        tables=tables.astype(np.int8) if f.table.width <= 8 else tables,
        **shifts(cfg, points)[0])


def raw_mix(cfg: LookupConfig, real: Layer, borders: Borders) -> dict[str, int]:
    """The coefficients of the fixed skip, fields of a job, counted in ``borders``."""
    return {name: int(borders.quantise(name, cfg.fmt.mix, getattr(real, name)))
            for name in ("gain", "skip")}


def quantise(cfg: LookupConfig, real: Layer, order: Order = Order.TOKEN_MAJOR) -> Quantised:
    """Weights and a job in raw integers; ``order`` is that of its gather.

    Every tensor has the binary point that its largest value asks for, judged on the layer's own
    tokens; only z_bias, gain and skip, whose points are fixed, can saturate.
    """
    f, points = cfg.fmt, place(cfg, measure(cfg, real))
    counted = Borders()
    residual = None if real.residual is None else counted.quantise(
        "residual", f.output, real.residual, points.y)
    job = Job(counted.quantise("x", f.x, real.x, points.x), residual, order,
              **raw_mix(cfg, real, counted), **shifts(cfg, points)[1])
    return Quantised(raw_weights(cfg, real, points, counted), job, points, counted)
