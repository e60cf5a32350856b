"""Float reference: the same algorithm and exact attention in double precision.

For error figures only; no golden stage calls it. ``python -m sw.studies.numerics cta`` prints how
much error each fixed-point format contributes.
"""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["attention_exact", "attention_cta", "clusters", "Operands", "synthetic"]


def _softmax(s: np.ndarray) -> np.ndarray:
    p = np.exp(s - s.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def attention_exact(xq, xkv, wq, wk, wv, bq, bv) -> np.ndarray:
    """Ordinary softmax attention (m, d). A key bias cancels and is not asked for."""
    q, k, v = xq @ wq + bq, xkv @ wk, xkv @ wv + bv
    return _softmax(q @ k.T / math.sqrt(wq.shape[1])) @ v


def attention_cta(xq, xkv, wq, wk, wv, bq, bv, ct0, ct1, ct2) -> np.ndarray:
    """CTA (m, d) with the clusters given; centroids, scores and outputs in double precision.

    The clusters are forced because a token on the edge of a bucket may fall on either side
    under quantisation, which is another, equally good clustering and no arithmetic error.
    """
    c0, c1 = _means(xq, ct0), _means(xkv, ct1)
    c2 = _means(xkv - c1[ct1], ct2)
    q = c0 @ wq + bq
    s = q @ ((c1 @ wk)[ct1] + (c2 @ wk)[ct2]).T / math.sqrt(wq.shape[1])
    return (_softmax(s) @ ((c1 @ wv + bv)[ct1] + (c2 @ wv)[ct2]))[ct0]


def clusters(xq, xkv, a, b, w) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``ct0 ct1 ct2`` by hashing in double precision; ``a`` (3, l, dw), ``b`` (3, l), ``w`` (3,).
    """
    ct0 = _first_seen(np.floor((xq @ a[0].T + b[0]) / w[0]))
    ct1 = _first_seen(np.floor((xkv @ a[1].T + b[1]) / w[1]))
    residual = xkv - _means(xkv, ct1)[ct1]
    return ct0, ct1, _first_seen(np.floor((residual @ a[2].T + b[2]) / w[2]))


def _means(x: np.ndarray, ct: np.ndarray) -> np.ndarray:
    sums = np.zeros((ct.max() + 1, x.shape[1]))
    np.add.at(sums, ct, x)
    return sums / np.bincount(ct)[:, None]


def _first_seen(codes: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    number = np.empty_like(first)
    number[np.argsort(first)] = np.arange(len(first))
    return number[inverse.reshape(-1)]


# -- operands -------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Operands:
    """A head in real numbers: tokens, weights, biases, and ``a b w`` of the three LSHs."""

    xq: np.ndarray
    xkv: np.ndarray
    wq: np.ndarray
    wk: np.ndarray
    wv: np.ndarray
    bq: np.ndarray
    bv: np.ndarray
    a: np.ndarray
    b: np.ndarray
    w: np.ndarray

    @property
    def attention(self) -> tuple:
        """The operands of :func:`attention_exact`."""
        return self.xq, self.xkv, self.wq, self.wk, self.wv, self.bq, self.bv


def synthetic(n: int, d: int, dw: int = 0, seed: int = 1, l: int = 6) -> Operands:  # noqa: E741
    """Seeded tokens around n/4 topics, and a head whose scores have a standard deviation near 2."""
    dw = dw or d
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(max(1, n // 4), dw))
    x = topics[rng.integers(len(topics), size=n)] + 0.1 * rng.normal(size=(n, dw))
    wq, wk, wv = rng.normal(size=(3, dw, d)) / math.sqrt(dw)
    a = rng.normal(size=(l, dw)) / math.sqrt(dw)
    bq, bv = 0.1 * rng.normal(size=d), 0.1 * rng.normal(size=d)
    # q.k/sqrt(d) of unit q and k has a deviation of 1; 1.4 on both sides makes it 2.
    return Operands(x, x, 1.4 * wq, 1.4 * wk, wv, bq, bv, np.stack([a] * 3),
                    rng.uniform(0, 1, size=(3, l)), np.array([1.2, 1.2, 0.6]))
