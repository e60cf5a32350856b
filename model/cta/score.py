"""Compressed scores with the row maximum subtracted (CTA, eq. 5)."""

import numpy as np

from model.cta.config import CTAConfig
from model.fixed import round_half_up, saturate

__all__ = ["scores"]


def scores(cfg: CTAConfig, q: np.ndarray, k: np.ndarray, k1: int, shift_s: int,
           exact: bool = False) -> tuple[np.ndarray, int]:
    """Scores (k0, k1+k2) of queries ``q`` (k0, d) and keys ``k`` (k1+k2, d); the saturations.

    Level 1 (columns below ``k1``) keeps its scores; level 2 has the maximum M of the row's level
    1 scores subtracted. A token's exponent is the sum of one of each, so M is subtracted once.
    A score that saturates before and after the subtraction counts twice.

    With ``exact`` there is no level 2 but one column that holds -M: (k0, k1+1).
    """
    raw = np.asarray(q, dtype=np.int64) @ np.asarray(k, dtype=np.int64).T
    s, moved = saturate(round_half_up(raw, shift_s), cfg.fmt.score)
    maximum = s[:, :k1].max(axis=1, keepdims=True)
    second = np.zeros_like(maximum) if exact else s[:, k1:]
    second, moved_again = saturate(second - maximum, cfg.fmt.score)
    return (np.concatenate([s[:, :k1], second], axis=1),
            int(np.count_nonzero(moved)) + int(np.count_nonzero(moved_again)))
