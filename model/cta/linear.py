"""Compressed linear transformations: centroids to Q, K and V (CTA, eq. 3)."""

import numpy as np

from model.cta.config import CTAConfig
from model.fixed import round_half_up, saturate

__all__ = ["betas", "linear"]


def linear(cfg: CTAConfig, c: np.ndarray, w: np.ndarray, bias: np.ndarray | None,
           shift: int) -> tuple[np.ndarray, int]:
    """Rows (k, d) of Q, K or V from centroids ``c`` (k, dw) and ``w`` (dw, d); the saturations.

    ``bias`` (d,) is in accumulator units. The array forms the sum in T slices of d; partial sums
    are exact, so the order does not show.
    """
    acc = np.asarray(c, dtype=np.int64) @ np.asarray(w, dtype=np.int64)
    if bias is not None:
        acc = acc + np.asarray(bias, dtype=np.int64)
    y, moved = saturate(round_half_up(acc, shift), cfg.fmt.qkv)
    return y, int(np.count_nonzero(moved))


def betas(cfg: CTAConfig, w: np.ndarray) -> np.ndarray:
    """Less the sum of w_a w_b of each column of ``w`` (dw, d) over its pairs of slices, ``cfg.beta`` (d,).

    With the sum of x_a x_b it makes the fast inner product the plain one:
    sum (x_a + w_b)(x_b + w_a) = sum (x_a w_a + x_b w_b) + sum x_a x_b + sum w_a w_b (Winograd 1968).
    """
    first, second = np.asarray(w, dtype=np.int64).reshape(cfg.slices // 2, 2, cfg.d, -1).swapaxes(0, 1)
    return -(first * second).sum(axis=(0, 1))
