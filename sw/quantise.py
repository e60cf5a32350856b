"""From real numbers to the raw integers of a head: binary points, shifts, 1/w.

Every tensor gets the power-of-two scale its largest value asks for, so that 12 and 13 bits go a
long way (docs/numerics.md). The points then fix the shifts of the job descriptor:

    Q = C0 Wq:  shift_q = centroid + wq - q      (K and V alike)
    S = Q K:    shift_s = q + k - score - power   where log2(e)/sqrt(d) = fold * 2**power
    O:          shift_o = v - o

``fold``, in 0.71..1.42, goes into Wq and bq, so that scores come out in log2 units.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from model.cta.bucket import bucket_fields
from model.cta.config import CTAConfig
from model.cta.job import HeadWeights, Job, LSHParams, Mode
from model.cta.reference import Operands, attention_exact
from model.fixed import Format

__all__ = ["QuantiseError", "Points", "Quantised", "quantise", "token_point", "lsh_a_point",
           "lsh_params"]

SHIFT_MAX = 31
SHIFT_O = (-8, 7)
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
class Quantised:
    """A head in raw integers, where its points are, and what did not fit.

    ``saturated`` counts per tensor the values beyond its format (only with a percentile < 100).
    """

    weights: HeadWeights
    job: Job
    points: Points
    saturated: dict = field(default_factory=dict)

    def output(self, cfg: CTAConfig, raw) -> np.ndarray:
        """Raw outputs to real numbers."""
        return cfg.fmt.output.real(raw, self.points.o)


def _peak(value, percentile):
    size = np.abs(value)
    return float(size.max() if percentile >= 100 else np.percentile(size, percentile))


def _point(fmt: Format, peak: float) -> int:
    """Most fraction bits with which ``peak`` rounds to a value of ``fmt``."""
    if peak == 0:
        return fmt.frac
    point = math.floor(math.log2((fmt.max + 0.5) / peak))
    if math.floor(math.ldexp(peak, point) + 0.5) > fmt.max:    # the logarithm was rounded up
        point -= 1
    return min(point, POINT_MAX)


def token_point(cfg: CTAConfig, xq, xkv, percentile: float = 100.0) -> int:
    """Point of the tokens. Centroids have one coarser, by ``cfg.residual_shift``, and must fit."""
    peak = max(_peak(xq, percentile), _peak(xkv, percentile))
    f = cfg.fmt
    point = min(_point(f.token, peak), _point(f.centroid, peak) + cfg.residual_shift)
    return f.token.frac if peak == 0 else point


def lsh_a_point(cfg: CTAConfig, token: int, a, b_peak: float) -> int:
    """Point of A, common to the three LSHs: A fits, and so do offsets up to ``b_peak``."""
    f = cfg.fmt
    point = _point(f.lsh_a, _peak(a, 100))
    if b_peak > 0:
        point = min(point, _point(f.bias, b_peak) - token)
    return point


def lsh_params(cfg: CTAConfig, a, b, w: float, token: int, a_point: int) -> LSHParams:
    """One LSH from real ``a`` (l, dw), ``b`` (l,), ``w``."""
    f = cfg.fmt
    if not (math.isfinite(w) and w > 0):
        raise QuantiseError(f"w is {w}, must be above 0")
    raw_a, moved_a = f.lsh_a.quantise(a, a_point)
    raw_b, moved_b = f.bias.quantise(b, token + a_point)
    if moved_a or moved_b:
        raise QuantiseError(f"{'a' if moved_a else 'b'} has values beyond its format at point "
                            f"{a_point}")
    width = math.ldexp(w, token + a_point)
    # Beyond the range of a hash value the operand may saturate as well: it would make no
    # difference. Below it, what the tokens can reach is bound enough.
    reach = int(np.abs(raw_a).sum(axis=1).max()) * -f.token.min + int(np.abs(raw_b).max())
    bound = min(reach, math.ceil(-f.hash.min * width))
    try:
        return LSHParams(raw_a, raw_b, *bucket_fields(cfg, width, max(bound, 1)))
    except ValueError as error:
        raise QuantiseError(f"w = {w:.6g} cannot be represented: {error}") from None


def _projection(cfg, name, weight, bias, centroid, real, percentile):
    """Points of a weight and of what it gives, chosen together: shift and bias must fit too."""
    f = cfg.fmt
    w = _point(f.weight, _peak(weight, percentile))
    if np.any(bias):
        w = min(w, _point(f.bias, _peak(bias, 100)) - centroid)
    y = min(_point(f.qkv, _peak(real, percentile)), centroid + w)
    # A huge result of tiny factors does not occur with finite tensors of matching size; the
    # weights give up bits before the shift runs out.
    w = min(w, SHIFT_MAX + y - centroid)
    if centroid + w - y < 0 or _peak(weight, 100) and math.ldexp(_peak(weight, 100), w) < 0.5:
        raise QuantiseError(f"{name} lies in [{weight.min():.3g}, {weight.max():.3g}] and gives "
                            f"values up to {_peak(real, 100):.3g}: no shift in 0..{SHIFT_MAX} fits")
    return w, y


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
    f = cfg.fmt
    self_attention = real.xq is real.xkv
    token = token_point(cfg, real.xq, real.xkv, percentile)
    centroid = token - cfg.residual_shift

    factor = math.log2(math.e) / math.sqrt(cfg.d)
    power = round(math.log2(factor))
    wq, bq = (np.ldexp(value * factor, -power) for value in (real.wq, real.bq))
    nothing = np.zeros(1)
    p_wq, q = _projection(cfg, "wq", wq, bq, centroid, real.xq @ wq + bq, percentile)
    p_wk, k = _projection(cfg, "wk", real.wk, nothing, centroid, real.xkv @ real.wk, percentile)
    p_wv, v = _projection(cfg, "wv", real.wv, real.bv, centroid,
                          real.xkv @ real.wv + real.bv, percentile)

    shift_s = q + k - f.score.frac - power
    if shift_s < 0:
        raise QuantiseError(f"scores reach beyond 2**{f.score.width - 1 - f.score.frac} log2 "
                            f"units: shift_s is {shift_s}, must be in 0..{SHIFT_MAX}")
    if shift_s > SHIFT_MAX:
        # Scores of next to nothing: K can do with fewer bits.
        k -= shift_s - SHIFT_MAX
        shift_s = SHIFT_MAX
    shift_k = centroid + p_wk - k
    if shift_k > SHIFT_MAX:
        p_wk, shift_k = p_wk - (shift_k - SHIFT_MAX), SHIFT_MAX

    exact = attention_exact(*real.attention)
    o = _point(f.output, _peak(exact, percentile) * OUTPUT_HEADROOM)
    o = int(np.clip(o, v - SHIFT_O[1], v - SHIFT_O[0]))

    saturated = {}

    def raw(name, fmt, value, point):
        value, moved = fmt.quantise(value, point)
        if moved:
            saturated[name] = saturated.get(name, 0) + moved
        return value

    if a_point is None:
        a_point = lsh_a_point(cfg, token, real.a, _peak(real.b, 100))
    weights = HeadWeights(
        raw("wq", f.weight, wq, p_wq), raw("wk", f.weight, real.wk, p_wk),
        raw("wv", f.weight, real.wv, p_wv), raw("bq", f.bias, bq, centroid + p_wq),
        raw("bv", f.bias, real.bv, centroid + p_wv),
        tuple(lsh_params(cfg, real.a[c], real.b[c], float(real.w[c]), token, a_point)
              for c in range(3)))
    xkv = raw("x" if self_attention else "xkv", f.token, real.xkv, token)
    xq = None if self_attention else raw("xq", f.token, real.xq, token)
    job = Job(xkv, xq, mode, shift_q=centroid + p_wq - q, shift_k=shift_k,
              shift_v=centroid + p_wv - v, shift_s=shift_s, shift_o=v - o)
    points = Points(token, centroid, a_point, p_wq, p_wk, p_wv, q, k, v, o)
    return Quantised(weights, job, points, saturated)
