"""From tokens to centroids: the part of a job that all heads of a layer share."""

from dataclasses import dataclass

import numpy as np

from model.cta.centroid import centroids, residuals
from model.cta.cluster_index import cluster_table
from model.cta.config import CTAConfig
from model.cta.job import LSHParams, Saturation
from model.cta.lsh import hash_codes

__all__ = ["Clusters", "cluster"]


@dataclass(frozen=True)
class Clusters:
    """Both levels of clusters of a job's tokens, and what was lost on the way.

    Parameters
    ----------
    codes0, codes1, codes2 : (m, l), (n, l), (n, l) hash codes; None in exact mode.
    ct0, ct1, ct2 : (m,), (n,), (n,) cluster of each token.
    k0, k1, k2 : number of clusters of each LSH.
    residual : (n, dw) what C1 leaves of the keys, in ``fmt.token``; None in exact mode.
    c0, c1, c2 : (k0, dw), (k1, dw), (k2, dw) centroids, in ``fmt.centroid``.
    overflow : tokens by LSH that asked for a cluster which no longer could be made.
    saturations : count by :class:`Saturation`, of the kinds that clustering can raise.
    """

    codes0: np.ndarray | None
    codes1: np.ndarray | None
    codes2: np.ndarray | None
    ct0: np.ndarray
    ct1: np.ndarray
    ct2: np.ndarray
    k0: int
    k1: int
    k2: int
    residual: np.ndarray | None
    c0: np.ndarray
    c1: np.ndarray
    c2: np.ndarray
    overflow: tuple[int, int, int]
    saturations: dict


def cluster(cfg: CTAConfig, lsh: tuple[LSHParams, LSHParams, LSHParams], xq: np.ndarray,
            xkv: np.ndarray, exact: bool) -> Clusters:
    """Clusters of the queries ``xq`` (m, dw) and, at two levels, of the keys ``xkv`` (n, dw).

    In exact mode every token is its own cluster and there is no second level. Sec. III-B, Fig. 3
    of the CTA paper; the operands are taken as checked.
    """
    sat = dict.fromkeys((Saturation.RESIDUAL, Saturation.CENTROID, Saturation.HASH), 0)

    def counted(kind, result):
        value, moved = result
        sat[kind] += moved
        return value

    def hashed(x, c):
        return counted(Saturation.HASH, hash_codes(cfg, x, lsh[c]))

    def mean(x, ct, k):
        return counted(Saturation.CENTROID, centroids(cfg, x, ct, k))

    if exact:
        ct0, ct1, none = np.arange(len(xq)), np.arange(len(xkv)), np.zeros(len(xkv), np.int64)
        # The mean of a single token is that token in the format of a centroid.
        return Clusters(None, None, None, ct0, ct1, none, len(xq), len(xkv), 0, None,
                        mean(xq, ct0, len(xq)), mean(xkv, ct1, len(xkv)),
                        np.zeros((0, cfg.dw), np.int64), (0, 0, 0), sat)
    codes0, codes1 = hashed(xq, 0), hashed(xkv, 1)
    ct0, k0, over0 = cluster_table(cfg, codes0, cfg.k0)
    ct1, k1, over1 = cluster_table(cfg, codes1, cfg.k1)
    c0, c1 = mean(xq, ct0, k0), mean(xkv, ct1, k1)
    residual = counted(Saturation.RESIDUAL, residuals(cfg, xkv, c1, ct1))
    codes2 = hashed(residual, 2)
    ct2, k2, over2 = cluster_table(cfg, codes2, cfg.k2)
    c2 = mean(residual, ct2, k2)
    return Clusters(codes0, codes1, codes2, ct0, ct1, ct2, k0, k1, k2, residual, c0, c1, c2,
                    (over0, over1, over2), sat)
