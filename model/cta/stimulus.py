"""Jobs made to order, in raw integers: random ones, corner cases, exact operating points.

Stimuli, not expected values: what a job must give is what :func:`model.cta.head.run` says.
"""

import math
from dataclasses import replace

import numpy as np

from model.cta import centroid, cluster_index, lsh
from model.cta.bucket import bucket_fields, bucket_limits
from model.cta.config import CTAConfig
from model.cta.job import HeadWeights, Job, LayerJob, LSHParams, Mode
from model.stimulus import gaussian, least_shift

__all__ = ["random_job", "patterned_job", "operating_point", "layer_of", "PATTERNS"]

PATTERNS = ("equal", "distinct", "alternating", "runs", "extremes")

# Standard deviation of A·x, in accumulator units, that every maker aims at: the bias, 24 bits
# with sign, then reaches six deviations to either side whatever the token dimension.
_HASH_SIGMA = 1.2e6
_A_SIGMA = 512


def _token_sigma(cfg):
    return min(_HASH_SIGMA / (_A_SIGMA * math.sqrt(cfg.dw)), cfg.fmt.token.max / 4)


def _weights(cfg, rng):
    """wq, wk, wv, bq, bv: as wide as the formats, so that every bit of the multipliers moves."""
    f = cfg.fmt
    wq, wk, wv = (gaussian(rng, (cfg.dw, cfg.d), f.weight.max / 4, f.weight) for _ in range(3))
    reach = min(int(_token_sigma(cfg) * f.weight.max / 8 * math.sqrt(cfg.dw)), f.bias.max)
    bq, bv = (rng.integers(-reach, reach + 1, cfg.d) for _ in range(2))
    return wq, wk, wv, bq, bv


def _shifts(cfg, xq, xkv, wq, wk, wv, bq, bv):
    """Shifts that fill Q, K and V, and scores of about 2.5 log2 units, judged on some tokens."""
    f = cfg.fmt
    some_q, some_k = (np.ldexp(x[:: max(1, len(x) // 64)].astype(float), -cfg.residual_shift)
                      for x in (xq, xkv))
    accs = some_q @ wq + bq, some_k @ wk, some_k @ wv + bv
    shift_q, shift_k, shift_v = (least_shift(np.abs(a).max(), 0.8 * f.qkv.max) for a in accs)
    score = np.ldexp(accs[0], -shift_q) @ np.ldexp(accs[1], -shift_k).T
    rms = math.sqrt(np.mean(score ** 2))
    return {"shift_q": shift_q, "shift_k": shift_k, "shift_v": shift_v,
            "shift_s": least_shift(rms, 2.5 * 2 ** f.score.frac)}


def _lsh(cfg, rng, a, w, bound, centre=0):
    """One LSH of width ``w``, in accumulator units, with a random offset from ``centre``."""
    b = np.rint(rng.uniform(0, w, cfg.l) - centre)
    b = np.clip(b, cfg.fmt.bias.min, cfg.fmt.bias.max).astype(np.int64)
    inv_w, pre, post = bucket_fields(cfg, w, bound + int(np.abs(b).max()))
    return LSHParams(a, b, inv_w, pre, post)


def _tokens(cfg, rng, count, sigma):
    """Tokens around a few prototypes, neighbours often equal: runs, A B A B, and newcomers."""
    kinds = max(1, count // 3)
    proto = rng.normal(0, sigma, (kinds, cfg.dw))
    pick = rng.integers(0, kinds, count)
    noise = rng.normal(0, sigma / 4, (count, cfg.dw))
    x = np.clip(np.rint(proto[pick] + noise), cfg.fmt.token.min, cfg.fmt.token.max)
    back = rng.choice((0, 1, 2, 3), count, p=(0.55, 0.2, 0.15, 0.1))
    for t in range(count):
        if 0 < back[t] <= t:
            x[t] = x[t - back[t]]
    return x.astype(np.int64)


def random_job(cfg: CTAConfig, rng, n, m=None, mode=Mode.CTA, spread=1.0, saturating=False,
               shared_a=None) -> tuple[HeadWeights, Job]:
    """A random head and job of ``n`` tokens (``m`` queries of their own, or self-attention).

    Parameters
    ----------
    spread : standard deviations of A·x in buckets; more means more clusters. The second
        level gets about twice as many buckets a deviation.
    saturating : tokens and biases at the ends of their formats and shifts too small, so that
        every kind of saturation happens. Without it almost nothing saturates.
    shared_a : one A for all three LSHs; drawn if None.
    """
    sigma = cfg.fmt.token.max if saturating else _token_sigma(cfg)
    xkv = _tokens(cfg, rng, n, sigma)
    xq = None if m is None else _tokens(cfg, rng, m, sigma)
    if shared_a is None:
        shared_a = bool(rng.integers(2))
    a = [gaussian(rng, (cfg.l, cfg.dw), _A_SIGMA, cfg.fmt.lsh_a) for _ in range(3)]
    a = [a[0]] * 3 if shared_a else a
    hash_sigma = sigma * _A_SIGMA * math.sqrt(cfg.dw)
    widths = [hash_sigma / (spread * (40 if saturating else 1)) * f
              for f in (rng.uniform(0.7, 1.4), rng.uniform(0.7, 1.4), rng.uniform(0.2, 0.4))]
    # In the saturating job the bound is a lie: PPE operands saturate too.
    bound = int(hash_sigma * (0.2 if saturating else 6))
    lshs = tuple(_lsh(cfg, rng, a[c], widths[c], bound) for c in range(3))
    wq, wk, wv, bq, bv = _weights(cfg, rng)
    shifts = _shifts(cfg, xkv if xq is None else xq, xkv, wq, wk, wv, bq, bv)
    shift_o = int(rng.integers(0, 3))
    if saturating:
        shifts = {name: max(0, value - 2) for name, value in shifts.items()}
        shift_o = int(rng.integers(-8, -1))
    return (HeadWeights(wq, wk, wv, bq, bv, lshs),
            Job(xkv, xq, mode, shift_o=shift_o, **shifts))


def legal_sizes(cfg: CTAConfig, rng, mode=Mode.CTA, cross=False) -> tuple[int, int | None]:
    """Numbers of keys and queries that the engine has room for; None for those of self-attention."""
    most = cfg.exact if mode == Mode.EXACT else cfg.n
    n = int(rng.integers(1, min(most, cfg.tokens - cross) + 1))
    return n, int(rng.integers(1, min(most, cfg.tokens - n) + 1)) if cross else None


def patterned_job(cfg: CTAConfig, rng, pattern, n, m=None, mode=Mode.CTA):
    """A job whose tokens follow a corner case.

    ``equal``: one token n times (k = 1). ``distinct``: buckets so narrow that each token has
    its own, as far as the hash format reaches. ``alternating``: A B A B. ``runs``: A A A A B B B B.
    ``extremes``: all values at either end of the token format.
    """
    if pattern not in PATTERNS:
        raise ValueError(f"pattern is {pattern!r}, must be one of {PATTERNS}")
    weights, job = random_job(cfg, rng, n, m, mode, spread=20.0 if pattern == "distinct" else 1.0)

    def tokens(count):
        t = np.arange(count)
        fmt = cfg.fmt.token
        if pattern == "extremes":
            return rng.choice((fmt.min, fmt.max), (count, cfg.dw)).astype(np.int64)
        if pattern == "distinct":
            return gaussian(rng, (count, cfg.dw), _token_sigma(cfg), fmt)
        proto = gaussian(rng, (max(2, count // 4 + 1), cfg.dw), _token_sigma(cfg), fmt)
        return proto[{"equal": 0 * t, "alternating": t % 2, "runs": t // 4}[pattern]]

    xkv, xq = tokens(n), None if m is None else tokens(m)
    return weights, Job(xkv, xq, mode, job.shift_q, job.shift_k, job.shift_v, job.shift_s,
                        job.shift_o)


# -- exact operating points -----------------------------------------------------------------


def _distinct(codes):
    """Number of different hash codes."""
    width = codes.shape[1]
    word = np.zeros(len(codes), dtype=np.uint64)
    for column in range(width):
        word = (word << np.uint64(8)) | (codes[:, column] & 0xFF).astype(np.uint64)
    return len(np.unique(word))


def _fit(cfg, rng, a, x, count, tries=600):
    """An LSH with matrix ``a`` that gives exactly ``count`` codes for ``x``, or None.

    Bisection on the bucket width, then widths and offsets nearby until the count is met.
    """
    acc, unit = x @ a.T, np.eye(cfg.l, dtype=np.int64)
    low, high = acc.min(axis=0), acc.max(axis=0)
    centre = (low + high) / 2
    reach = max(int((high - low).max()), 1)
    narrowest, widest = bucket_limits(cfg, reach)

    def attempt(w):
        p = _lsh(cfg, rng, a, w, reach, centre)
        # A unit matrix on the accumulators: A·x is the same in every attempt.
        codes, saturated = lsh.hash_codes(cfg, acc, replace(p, a=unit))
        return p, _distinct(codes), saturated

    # The narrowest width at which nothing saturates; half the reach would do if centred exactly.
    bottom, top = math.log(narrowest / 2), math.log(widest)
    for _ in range(24):
        middle = (bottom + top) / 2
        if attempt(math.exp(middle))[1] > count:
            bottom = middle
        else:
            top = middle
    for trial in range(tries):
        w = math.exp(top + rng.normal(0, 0.02 + 0.3 * trial / tries))
        p, found, saturated = attempt(min(max(w, narrowest / 2), widest))
        if found == count and saturated == 0:
            return p
    return None


def _spread_tokens(cfg, rng, a, count):
    """Gaussian tokens; with few hash functions their first projection is evenly spread."""
    x = rng.normal(0, _token_sigma(cfg), (count, cfg.dw))
    if cfg.l <= 2:
        first = a[0].astype(float)
        want = ((rng.permutation(count) + rng.uniform(0.3, 0.7, count)) / count - 0.5)
        x += np.outer((want * 4 * _HASH_SIGMA - x @ first) / (first @ first), first)
    return np.clip(np.rint(x), cfg.fmt.token.min, cfg.fmt.token.max).astype(np.int64)


def layer_of(heads: list[tuple[HeadWeights, Job]]) -> tuple[list[HeadWeights], LayerJob]:
    """A layer of jobs that were made one by one: all heads get the tokens and the hash functions of
    the first, and keep their own weights and shifts."""
    first, job = heads[0]
    return ([replace(weights, lsh=first.lsh) for weights, _ in heads],
            LayerJob(job.xkv, job.xq, job.mode, tuple(own.shifts for _, own in heads)))


def operating_point(cfg: CTAConfig, k0, k1, k2, n, m=None, seed=0) -> tuple[HeadWeights, Job]:
    """A CTA job whose three clusterings have exactly ``k0``, ``k1`` and ``k2`` different codes.

    Gaussian tokens, one random A shared by the three LSHs; the bucket widths and offsets are
    searched. Counts above the capacity of ``cfg`` are made as well and overflow.
    Raises ValueError if the counts cannot be met (say 300 codes of one 8-bit hash value).
    """
    queries = n if m is None else m
    for name, value, most in (("k0", k0, queries), ("k1", k1, n), ("k2", k2, n)):
        if not 1 <= value <= most:
            raise ValueError(f"{name} is {value}, must be in 1..{most}, the number of tokens")
    rng = np.random.default_rng(seed)
    for _ in range(8):
        a = gaussian(rng, (cfg.l, cfg.dw), _A_SIGMA, cfg.fmt.lsh_a)
        xkv = _spread_tokens(cfg, rng, a, n)
        xq = None if m is None else _spread_tokens(cfg, rng, a, m)
        lsh0 = _fit(cfg, rng, a, xkv if xq is None else xq, k0)
        lsh1 = _fit(cfg, rng, a, xkv, k1)
        if lsh0 is None or lsh1 is None:
            continue
        codes, _ = lsh.hash_codes(cfg, xkv, lsh1)
        ct1, held, _ = cluster_index.cluster_table(cfg, codes, cfg.k1)
        c1, _ = centroid.centroids(cfg, xkv, ct1, held)
        lsh2 = _fit(cfg, rng, a, centroid.residuals(cfg, xkv, c1, ct1)[0], k2)
        if lsh2 is None:
            continue
        wq, wk, wv, bq, bv = _weights(cfg, rng)
        shifts = _shifts(cfg, xkv if xq is None else xq, xkv, wq, wk, wv, bq, bv)
        return HeadWeights(wq, wk, wv, bq, bv, (lsh0, lsh1, lsh2)), Job(xkv, xq, **shifts)
    raise ValueError(f"k0, k1, k2 = {k0}, {k1}, {k2} could not be met with {n} tokens, "
                     f"l = {cfg.l}, seed {seed}")
