"""From real numbers to the raw integers of a head: binary points, shifts, 1/w.

Every tensor gets the power-of-two scale its largest value asks for, so that 12 and 13 bits go a
long way (docs/numerics.md). The points then fix the shifts of the job descriptor:

    Q = C0 Wq:  shift_q = centroid + wq - q      (K and V alike)
    S = Q K:    shift_s = q + k - score - power   where log2(e)/sqrt(d) = fold * 2**power
    O:          shift_o = v - o

``fold``, in 0.71..1.42, goes into Wq and bq, so that scores come out in log2 units.

Three steps: :func:`measure` takes the sizes of a head's tensors on some tokens, :func:`place`
chooses the points that they ask for, :func:`raw_weights` makes integers. :func:`quantise` does all
three on one passage; ``sw.quant.observe`` measures on many.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model import quantised
from model.border import Borders
from model.cta.bucket import bucket_fields
from model.cta.config import CTAConfig
from model.cta.job import SHIFT_O, HeadWeights, Job, LSHParams, Mode
from model.cta.reference import Operands, attention_exact
from model.fixed import SHIFT, Format

__all__ = ["QuantiseError", "Peak", "Peaks", "Points", "Quantised", "quantise", "quantise_at", "measure",
           "place", "shifts", "score_scale", "raw_weights", "peak", "point", "token_point", "lsh_a_point",
           "lsh_params", "idle_lsh"]

# A tensor of zeros, or of next to nothing, has no largest value to go by.
POINT_MAX = 40
# CTA's outputs may lie a little outside those of exact attention, which set the point.
OUTPUT_HEADROOM = 1.125


class QuantiseError(ValueError):
    """A tensor that the formats and shifts of the engine cannot represent."""


@dataclass(frozen=True)
class Points:
    """Fraction bits of every tensor: real = raw / 2**point."""

    token: int
    centroid: int
    lsh_a: int
    wq: int
    wk: int
    wv: int
    q: int
    k: int
    v: int
    o: int


@dataclass(frozen=True)
class Quantised(quantised.Quantised):
    """A head in raw integers. There are elements beyond a format only with a percentile < 100."""

    OUTPUT: ClassVar = "o"

    weights: HeadWeights
    job: Job
    points: Points


@dataclass(frozen=True)
class Peak:
    """Sizes of a tensor: ``fit`` has to be a value of its format, ``largest`` is the largest."""

    fit: float
    largest: float


@dataclass(frozen=True)
class Peaks:
    """Sizes of the tensors of a head; Q, and with it ``wq`` and ``bq``, times ``fold``."""

    token: float
    wq: Peak
    wk: Peak
    wv: Peak
    bq: float
    bv: float
    q: Peak
    k: Peak
    v: Peak
    o: float    # of exact attention


def peak(value, percentile: float = 100.0) -> Peak:
    """Sizes of ``value``; ``percentile`` of the absolute values have to fit."""
    size = np.abs(value)
    largest = float(size.max())
    return Peak(largest if percentile >= 100 else float(np.percentile(size, percentile)), largest)


def point(fmt: Format, fit: float) -> int:
    """Most fraction bits with which ``fit`` rounds to a value of ``fmt``."""
    if fit == 0:
        return fmt.frac
    if fit <= math.ldexp(fmt.max, -POINT_MAX):
        return POINT_MAX    # the quotient below may be beyond a double
    most = math.floor(math.log2((fmt.max + 0.5) / fit))
    if math.floor(math.ldexp(fit, most) + 0.5) > fmt.max:    # the logarithm was rounded up
        most -= 1
    return min(most, POINT_MAX)


def _token_point(cfg, fit):
    f = cfg.fmt
    if fit == 0:
        return f.token.frac
    return min(point(f.token, fit), point(f.centroid, fit) + cfg.residual_shift)


def token_point(cfg: CTAConfig, xq, xkv, percentile: float = 100.0) -> int:
    """Point of the tokens. Centroids have one coarser, by ``cfg.residual_shift``, and must fit."""
    return _token_point(cfg, max(peak(x, percentile).fit for x in (xq, xkv)))


def lsh_a_point(cfg: CTAConfig, token: int, a, b_peak: float) -> int:
    """Point of A, common to the three LSHs: A fits, and so do offsets up to ``b_peak``."""
    f = cfg.fmt
    most = point(f.lsh_a, peak(a).largest)
    if b_peak > 0:
        most = min(most, point(f.bias, b_peak) - token)
    return most


def lsh_params(cfg: CTAConfig, a, b, w: float, token: int, a_point: int) -> LSHParams:
    """One LSH from real ``a`` (l, dw), ``b`` (l,), ``w``."""
    f = cfg.fmt
    if not (math.isfinite(w) and w > 0):
        raise QuantiseError(f"w is {w}, must be above 0")
    borders = Borders()
    raw_a = borders.quantise("a", f.lsh_a, a, a_point)
    raw_b = borders.quantise("b", f.bias, b, token + a_point)
    for name, moved in borders.saturated.items():
        raise QuantiseError(f"{name} has {moved} values beyond its format at point {a_point}")
    width = math.ldexp(w, token + a_point)
    # Beyond the range of a hash value the operand may saturate as well: it would make no
    # difference. Below it, what the tokens can reach is bound enough.
    reach = int(np.abs(raw_a).sum(axis=1).max()) * -f.token.min + int(np.abs(raw_b).max())
    bound = min(reach, math.ceil(-f.hash.min * width))
    try:
        return LSHParams(raw_a, raw_b, *bucket_fields(cfg, width, max(bound, 1)))
    except ValueError as error:
        raise QuantiseError(f"w = {w:.6g} cannot be represented: {error}") from None


def idle_lsh(cfg: CTAConfig) -> LSHParams:
    """The LSH of exact mode, which hashes nothing: zeros that any engine can represent."""
    return LSHParams(np.zeros((cfg.l, cfg.dw), np.int64), np.zeros(cfg.l, np.int64),
                     *bucket_fields(cfg, 1.0, 1))


def score_scale(cfg: CTAConfig) -> tuple[float, int]:
    """``fold`` and ``power``: log2(e)/sqrt(d) = fold * 2**power with fold in 0.71..1.42."""
    factor = math.log2(math.e) / math.sqrt(cfg.d)
    power = round(math.log2(factor))
    return math.ldexp(factor, -power), power


def measure(cfg: CTAConfig, real: Operands, percentile: float = 100.0) -> Peaks:
    """Sizes of the tensors of a head on its own tokens."""
    fold, _ = score_scale(cfg)
    wq, bq = real.wq * fold, real.bq * fold

    def size(value):
        return peak(value, percentile)

    return Peaks(
        token=max(size(real.xq).fit, size(real.xkv).fit),
        wq=size(wq), wk=size(real.wk), wv=size(real.wv),
        bq=peak(bq).largest, bv=peak(real.bv).largest,
        q=size(real.xq @ wq + bq), k=size(real.xkv @ real.wk), v=size(real.xkv @ real.wv + real.bv),
        o=size(attention_exact(*real.attention)).fit)


def _projection(cfg, name, weight, bias, centroid, result):
    """Points of a weight and of what it gives, chosen together: shift and bias must fit too."""
    f = cfg.fmt
    w = point(f.weight, weight.fit)
    if bias:
        w = min(w, point(f.bias, bias) - centroid)
    y = min(point(f.qkv, result.fit), centroid + w)
    # A huge result of tiny factors does not occur with finite tensors of matching size; the
    # weights give up bits before the shift runs out.
    w = min(w, SHIFT.max + y - centroid)
    if centroid + w - y < 0 or weight.largest and math.ldexp(weight.largest, w) < 0.5:
        raise QuantiseError(f"{name} reaches {weight.largest:.3g} and gives values up to "
                            f"{result.largest:.3g}: no shift in 0..{SHIFT.max} fits")
    return w, y


def place(cfg: CTAConfig, peaks: Peaks, a_point) -> Points:
    """Points for a head of these sizes; ``a_point`` gives that of A for a point of the tokens.

    Raises QuantiseError where formats and shifts do not reach.
    """
    f = cfg.fmt
    token = _token_point(cfg, peaks.token)
    centroid = token - cfg.residual_shift
    wq, q = _projection(cfg, "wq", peaks.wq, peaks.bq, centroid, peaks.q)
    wk, k = _projection(cfg, "wk", peaks.wk, 0, centroid, peaks.k)
    wv, v = _projection(cfg, "wv", peaks.wv, peaks.bv, centroid, peaks.v)

    shift_s = _shift_s(cfg, q, k)
    if shift_s < 0:
        raise QuantiseError(f"scores reach beyond 2**{f.score.width - 1 - f.score.frac} log2 "
                            f"units: shift_s is {shift_s}, must be in 0..{SHIFT.max}")
    # Scores of next to nothing: K can do with fewer bits, and then Wk.
    k -= max(0, shift_s - SHIFT.max)
    wk = min(wk, SHIFT.max + k - centroid)
    o = point(f.output, peaks.o * OUTPUT_HEADROOM)
    o = int(np.clip(o, v - SHIFT_O.max, v - SHIFT_O.min))
    return Points(token, centroid, a_point(token), wq, wk, wv, q, k, v, o)


def _shift_s(cfg, q, k):
    return q + k - cfg.fmt.score.frac - score_scale(cfg)[1]


def shifts(cfg: CTAConfig, points: Points) -> dict[str, int]:
    """The shift fields of a job, ``shift_q`` to ``shift_o``, that follow from the points."""
    p = points
    return {"shift_q": p.centroid + p.wq - p.q, "shift_k": p.centroid + p.wk - p.k,
            "shift_v": p.centroid + p.wv - p.v, "shift_s": _shift_s(cfg, p.q, p.k),
            "shift_o": p.v - p.o}


def raw_weights(cfg: CTAConfig, real: Operands, points: Points,
                lsh: tuple[LSHParams, ...] | None = None) -> tuple[HeadWeights, Borders]:
    """The weight set in raw integers; and by name how many elements there are and saturated.

    The tokens of ``real`` are not looked at, nor its ``a b w`` where ``lsh`` is given.
    """
    f, p = cfg.fmt, points
    fold, _ = score_scale(cfg)
    borders = Borders()
    raw = borders.quantise

    weights = HeadWeights(
        raw("wq", f.weight, real.wq * fold, p.wq), raw("wk", f.weight, real.wk, p.wk),
        raw("wv", f.weight, real.wv, p.wv), raw("bq", f.bias, real.bq * fold, p.centroid + p.wq),
        raw("bv", f.bias, real.bv, p.centroid + p.wv),
        lsh or tuple(lsh_params(cfg, real.a[c], real.b[c], float(real.w[c]), p.token, p.lsh_a)
                     for c in range(3)))
    return weights, borders


def quantise(cfg: CTAConfig, real: Operands, mode: Mode = Mode.CTA, percentile: float = 100.0,
             a_point: int | None = None) -> Quantised:
    """Raw operands of a head for the engine ``cfg``.

    Parameters
    ----------
    real : tokens, weights, biases and ``a`` (3, l, dw), ``b`` (3, l), ``w`` (3,).
    percentile : of the absolute values, that has to fit; 100 is the largest. Less gives the bulk
        more precision and saturates the rest.
    a_point : point of A if calibration has fixed it already.
    """
    def a_at(token):
        return lsh_a_point(cfg, token, real.a, peak(real.b).largest) if a_point is None else a_point

    return quantise_at(cfg, real, place(cfg, measure(cfg, real, percentile), a_at), mode)


def quantise_at(cfg: CTAConfig, real: Operands, points: Points, mode: Mode = Mode.CTA) -> Quantised:
    """Raw operands of a head whose points are given; ``mode`` as for :func:`quantise`."""
    weights, borders = raw_weights(cfg, real, points,
                                   (idle_lsh(cfg),) * 3 if mode == Mode.EXACT else None)
    self_attention = real.xq is real.xkv
    tokens = {}
    for name, x in (("x" if self_attention else "xkv", real.xkv),
                    *(() if self_attention else (("xq", real.xq),))):
        tokens[name] = borders.quantise(name, cfg.fmt.token, x, points.token)
    xkv, *xq = tokens.values()
    job = Job(xkv, xq[0] if xq else None, mode, **shifts(cfg, points))
    return Quantised(weights, job, points, borders)
