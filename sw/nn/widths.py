"""Bucket widths of a CTA layer for a compression target: w is the knob of CTA.

Wide buckets make few clusters. Each level has its own width, because one for all lets the second
level collapse to next to no clusters: residuals are shorter than tokens. Where the engine's own
integers are to decide, use ``model.cta.calibrate``; here it is the float layer, on several sequences at
once. Widths fit the weights they were made with: training moves the counts, calibrate again.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model.cta.calibrate import LEVEL1_SHARE
from model.cta.cost import attention_ratio, linear_ratio
from sw.nn import clustering
from sw.nn.cta_heads import CTAHeads

__all__ = ["Reached", "calibrate", "fractions"]

WIDEST = 32.0
"""Widest bucket that is tried, in units of the longest projection of a token."""

TOLERANCE = 0.02
"""How far the mean fraction of clusters may stay off its target, beside one cluster a sequence."""

ROUNDS, STEPS = 4, 24


@dataclass(frozen=True)
class Reached:
    """What calibration has reached on its sample: mean RL and RA, mean k0/m k1/n k2/n, and w."""

    rl: float
    ra: float
    fractions: tuple[float, float, float]
    w: tuple[float, float, float]


def fractions(m: float, n: float, rl: float | None = None, ra: float | None = None
              ) -> tuple[float, float, float]:
    """k0/m, k1/n and k2/n for a linear ratio RL, an attention ratio RA, or both.

    With k = k1 + k2, RL = (k0 + 2k) / (m + 2n) and RA = k0 k / (m n). One of them leaves a choice:
    the same fraction f of queries and of keys, so that RL = f and RA = f^2. Both are two equations,
    of which the solution with more key clusters than query clusters left is taken (the paper's
    operating points lie on that side). LEVEL1_SHARE of k is level 1. Raises ValueError for ratios
    outside (0, 1] and for pairs without a solution in (0, 1].
    """
    for name, value in (("rl", rl), ("ra", ra)):
        if value is not None and not 0 < value <= 1:
            raise ValueError(f"{name} is {value}, must be in (0, 1]: the fraction that is left")
    if rl is None and ra is None:
        raise ValueError("no target: give rl, ra or counts")
    if ra is None:
        f0 = f = rl
    elif rl is None:
        f0 = f = math.sqrt(ra)
    else:
        # f0 m = rows - 2 f n in f0 f = RA gives 2 n f^2 - rows f + m RA = 0.
        rows = rl * (m + 2 * n)
        under = rows**2 - 8 * m * n * ra
        f = (rows + math.sqrt(max(under, 0.0))) / (4 * n)
        f0 = ra / f
        if under < 0 or not (0 < f0 <= 1 and 0 < f <= 1):
            raise ValueError(f"rl is {rl} and ra is {ra}: no fractions of clusters in (0, 1] give "
                             f"both, ra must be near rl**2 = {rl * rl:.3f}")
    return f0, LEVEL1_SHARE * f, (1 - LEVEL1_SHARE) * f


@torch.no_grad()
def calibrate(heads: CTAHeads, xq: Tensor, xkv: Tensor | None = None, *, rl: float | None = None,
              ra: float | None = None, counts: tuple[float, float, float] | None = None,
              valid: Tensor | None = None, valid_kv: Tensor | None = None) -> Reached:
    """Set ``heads.w`` so that the sample has the compression asked for; directions stay.

    Parameters
    ----------
    xq, xkv : sample tokens (B, m, dim), (B, n, dim); xkv None for self-attention.
    rl, ra : targets, see :func:`fractions`.
    counts : instead of those, k0/m, k1/n and k2/n, each in (0, 1].
    valid, valid_kv : masks of xq and xkv, True for a real token.

    The search goes level by level, since the residuals of level 2 are those of level 1, and takes
    the width whose mean fraction over the sequences is nearest. A fraction below one cluster a
    sequence counts as one. Raises ValueError, and leaves the widths alone, where the sample cannot
    have that many clusters.
    """
    keys = xq if xkv is None else xkv
    if xkv is None:
        valid_kv = valid if valid_kv is None else valid_kv
        valid = valid_kv if valid is None else valid
    clustering.check_valid(valid, *xq.shape[:2])
    clustering.check_valid(valid_kv, *keys.shape[:2])
    lengths = [torch.full((len(x),), x.shape[1], device=x.device) if ok is None else ok.sum(1)
               for x, ok in ((xq, valid), (keys, valid_kv))]
    if counts is None:
        m, n = (float(length.double().mean()) for length in lengths)
        counts = fractions(m, n, rl, ra)
    elif rl is not None or ra is not None:
        raise ValueError("counts is given as well as rl or ra, must be one or the other")
    if len(counts) != 3 or not all(0 < f <= 1 for f in counts):
        raise ValueError(f"counts is {counts}, must be three fractions in (0, 1]: k0/m, k1/n, k2/n")

    w = heads.w.clone()
    found = []

    def level(c, x, ok, scale):
        length = lengths[c > 0].double()
        w[c], k = _search(c, x, heads.a[c], heads.offset[c], ok, length, counts[c], scale)
        found.append(k)

    level(0, xq, valid, _reach(xq, heads.a[0], valid))
    scale = _reach(keys, heads.a[1], valid_kv)
    level(1, keys, valid_kv, scale)
    codes = clustering.hash_values(keys, heads.a[1], heads.offset[1], w[1])
    ct1, k1 = clustering.clusters(codes, valid_kv)
    c1 = clustering.means(keys, ct1, int(k1.max()), valid_kv)
    residual = keys - clustering.spread(c1, ct1)
    # Below a few bits of a token, residuals are rounding errors, not worth telling apart.
    level(2, residual, valid_kv, max(_reach(residual, heads.a[2], valid_kv), scale * 2.0**-16))
    heads.w.copy_(w)

    m, n = (length.double() for length in lengths)
    k0, k1, k2 = (k.double() for k in found)
    k = k1 + k2
    mean = tuple(float(v.mean()) for v in (linear_ratio(m, n, k0, k), attention_ratio(m, n, k0, k),
                                           k0 / m, k1 / n, k2 / n))
    return Reached(mean[0], mean[1], mean[2:], tuple(w.tolist()))


def _reach(x, a, valid):
    """Longest projection of a valid token."""
    at = clustering.positions(x, a, 0.0, 1.0)
    longest = float((at if valid is None else at[valid]).abs().max())
    if not math.isfinite(longest):
        raise ValueError("the tokens have infinities or NaNs, must be finite")
    return longest or 1.0


def _search(level, x, a, offset, valid, length, fraction, scale):
    """Width nearest to ``fraction`` of the tokens as clusters, and the counts it gives."""
    target = float(torch.clamp(fraction * length, min=1.0).div(length).mean())
    best = None
    # From hash values that just fit their format to all tokens in one bucket. k(w) is not quite
    # monotonic, so a finer and finer grid rather than a bisection. Of equals the width nearest to
    # the longest projection: narrower ones need large hash values, wider ones large offsets.
    low, high = -math.log(clustering.HASH.max - 1), math.log(WIDEST)
    for _ in range(ROUNDS):
        step = (high - low) / STEPS
        for i in range(STEPS + 1):
            at = low + i * step
            w = torch.tensor(scale * math.exp(at), dtype=offset.dtype, device=x.device)
            k = clustering.clusters(clustering.hash_values(x, a, offset, w), valid)[1]
            off = abs(float((k / length).mean()) - target)
            if best is None or (off, abs(at)) < best[0]:
                best = (off, abs(at)), at, w, k
        low, high = best[1] - step, best[1] + step
    (off, _), _, w, k = best
    if off > TOLERANCE + float((1 / length).mean()):
        raise ValueError(f"level {level}: clusters of {target:.3f} of the tokens are asked for, "
                         f"the nearest this sample gives is {float((k / length).mean()):.3f}")
    return w, k
