"""Residuals and centroids (CTA, Fig. 4b)."""

import numpy as np

from model.cta.config import CTAConfig
from model.fixed import clog2, round_half_up, saturate

__all__ = ["residuals", "cluster_sums", "centroids"]


def residuals(cfg: CTAConfig, xkv: np.ndarray, c1: np.ndarray,
              ct1: np.ndarray) -> tuple[np.ndarray, int]:
    """What level 1 leaves of each token, (n, dw) in the token format, and the saturations.

    LSH2 hashes it and the centroids of level 2 are its means.
    """
    r, moved = saturate(xkv - (c1[ct1] << cfg.residual_shift), cfg.fmt.token)
    return r, int(np.count_nonzero(moved))


def cluster_sums(x: np.ndarray, ct: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact sums (k, dw) of the members of each cluster, and their counts (k,)."""
    sums = np.zeros((k, x.shape[1]), dtype=np.int64)
    np.add.at(sums, ct, x)
    return sums, np.bincount(ct, minlength=k)


def centroids(cfg: CTAConfig, x: np.ndarray, ct: np.ndarray, k: int) -> tuple[np.ndarray, int]:
    """Means (k, dw) of the clusters in the centroid format, and the saturations.

    Division by the count is a shift by ceil(log2 count), which brings the sum to the size of a
    token, and a multiplication by the table's ``2**ceil(log2 count) / count`` in [1, 2). A
    cluster of one is the token, rounded.
    """
    sums, counts = cluster_sums(x, ct, k)
    shift = np.array([clog2(int(count)) for count in counts], dtype=np.int64)[:, None]
    scaled = round_half_up(sums, shift)
    mean = round_half_up(scaled * cfg.mean_table[counts][:, None],
                         cfg.mean_reciprocal_frac + cfg.residual_shift)
    c, moved = saturate(mean, cfg.fmt.centroid)
    return c, int(np.count_nonzero(moved))
