"""Choose the hash functions: A and b from a seed, w for the compression asked for.

w is the knob of CTA: wide buckets make few clusters. Each level has its own, because one w for
all lets the second level collapse to next to no clusters: residuals are shorter than tokens. The
search runs on the golden hash path, so that the counts it finds are those of the hardware.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from model.border import Borders
from model.cta import centroid, cluster_index, lsh
from model.cta.config import CTAConfig
from model.cta.quantise import lsh_a_point, lsh_params, token_point
from model.cta.reference import Operands

__all__ = ["Hashing", "draw", "projection", "targets", "calibrate"]

LEVEL1_SHARE = 0.9
"""k1 / (k1 + k2): most clusters do most good in level 1."""

WIDEST = (2.1, 8.0, 32.0)
"""Widest buckets that are tried, in units of the longest projection of a token."""


@dataclass(frozen=True)
class Hashing:
    """What calibration gives: ``a`` (3, l, dw), ``b`` (3, l), ``w`` (3,), all real; the point of A
    that it has used; the cluster counts it found."""

    a: np.ndarray
    b: np.ndarray
    w: np.ndarray
    a_point: int
    k: tuple[int, int, int]


def draw(cfg: CTAConfig, seed: int, shared: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """``a`` (3, l, dw) ~ N(0, 1), one for all LSHs if ``shared``; ``b / w`` (3, l) ~ U(0, 1)."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(3, cfg.l, cfg.dw))
    return np.stack([a[0]] * 3) if shared else a, rng.uniform(size=(3, cfg.l))


def projection(cfg: CTAConfig, real: Operands) -> np.ndarray:
    """``a`` (3, l, dw) fitted to the head: where queries, or keys and values, vary most.

    The principal directions of X Wq for LSH0, and of X [Wk Wv] for LSH1 and LSH2, taken back to
    tokens. Closer to exact attention than random directions at the same compression; LSH0 then
    has an A of its own, which costs a load of the value registers. Fewer directions than l
    leave rows of zeros.
    """
    def directions(x, w):
        y = x @ w
        _, _, v = np.linalg.svd(y - y.mean(axis=0), full_matrices=False)
        a = np.zeros((cfg.l, cfg.dw))
        a[:len(v)] = (w @ v[:cfg.l].T).T
        size = np.linalg.norm(a)
        return a * (math.sqrt(a.size) / size) if size else a

    query = directions(real.xq, real.wq)
    key = directions(real.xkv, np.concatenate([real.wk, real.wv], axis=1))
    return np.stack([query, key, key])


def targets(m: int, n: int, ratio: float) -> tuple[int, int, int]:
    """k0, k1, k2 for a linear ratio RL: the same fraction of the queries and of the tokens."""
    if not 0 < ratio <= 1:
        raise ValueError(f"compression is {ratio}, must be in (0, 1]: the fraction RL of rows kept")
    k0, k = max(1, round(ratio * m)), max(2, round(ratio * n))
    k1 = min(max(1, round(LEVEL1_SHARE * k)), n)
    return k0, k1, max(1, min(k - k1, n))


def _search(cfg, a, offset, b, x, count, token, a_point, widest):
    """Width (real) with which ``x`` (raw) falls into ``count`` buckets, or as near as may be."""
    unit = np.eye(cfg.l, dtype=np.int64)
    first = lsh_params(cfg, a, np.zeros(cfg.l), widest, token, a_point)
    acc = x @ first.a.T
    best = None

    def attempt(w):
        nonlocal best
        p = lsh_params(cfg, a, offset * w if b is None else b, w, token, a_point)
        # A unit matrix on the accumulators: A·x is the same in every attempt.
        codes, saturated = lsh.hash_codes(cfg, acc, replace(p, a=unit))
        found = len(np.unique(codes, axis=0))
        key = abs(found - count), saturated
        if best is None or key < best[0]:
            best = key, w
        return found

    reach = max(float(np.abs(acc).max()), 1.0) * 2.0 ** -(token + a_point)
    # From hash values that just fit, to all tokens in one bucket or, by the signs, in few.
    narrowest = math.log(reach / (cfg.fmt.hash.max - 1))
    low, high = narrowest, math.log(widest)
    for _ in range(20):
        middle = (low + high) / 2
        if attempt(math.exp(middle)) > count:
            low = middle
        else:
            high = middle
    rng = np.random.default_rng(0)
    # k(w) is not quite monotonic: an exact hit is often close by.
    for trial in range(200):
        if best[0][0] == 0:
            break
        w = high + rng.normal(0, 0.01 + 0.0005 * trial)
        attempt(math.exp(min(max(w, narrowest), math.log(widest))))
    return best[1]


def calibrate(cfg: CTAConfig, real: Operands, k: tuple[int, int, int], seed: int = 0,
              a=None, b=None) -> Hashing:
    """Hash functions that bring the tokens of ``real`` to ``k`` = (k0, k1, k2) clusters.

    ``a`` (3, l, dw) and ``b`` (3, l) are kept where given; otherwise they are drawn. ``real.a``,
    ``real.b`` and ``real.w`` are not looked at. Reached counts may differ by a few.
    """
    drawn_a, offset = draw(cfg, seed)
    a = drawn_a if a is None else np.asarray(a, dtype=float)
    token = token_point(cfg, real.xq, real.xkv)
    longest = max(float(np.abs(x @ a[c].T).max())
                  for c, x in enumerate((real.xq, real.xkv, real.xkv))) or 1.0
    # The point is that of these very tokens: none saturates, and what would is counted with the job.
    xq, xkv = (Borders().quantise(name, cfg.fmt.token, x, token)
               for name, x in (("xq", real.xq), ("xkv", real.xkv)))

    def attempt(widest):
        """Calibrate all levels with widths, and so offsets, up to ``widest``."""
        a_point = lsh_a_point(cfg, token, a, widest if b is None else float(np.abs(b).max()))
        w, offsets, found = np.zeros(3), np.zeros((3, cfg.l)), [0, 0, 0]

        def level(c, x):
            given = None if b is None else np.asarray(b[c], dtype=float)
            w[c] = _search(cfg, a[c], offset[c], given, x, k[c], token, a_point, widest)
            offsets[c] = offset[c] * w[c] if given is None else given
            p = lsh_params(cfg, a[c], offsets[c], w[c], token, a_point)
            codes, _ = lsh.hash_codes(cfg, x, p)
            capacity = (cfg.k0, cfg.k1, cfg.k2)[c]
            ct, found[c], _ = cluster_index.cluster_table(cfg, codes, capacity)
            return ct

        level(0, xq)
        ct1 = level(1, xkv)
        c1, _ = centroid.centroids(cfg, xkv, ct1, found[1])
        level(2, centroid.residuals(cfg, xkv, c1, ct1)[0])
        return Hashing(a, offsets, w, a_point, tuple(found))

    # The widest buckets need the largest offsets, which cost A fraction bits: only if they must.
    for factor in WIDEST:
        hashing = attempt(factor * longest)
        if all(got <= want + 1 + want // 50 for got, want in zip(hashing.k, k)):
            break
    return hashing
