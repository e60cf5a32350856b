"""Probability aggregation: exponentials of all query-token pairs, summed by cluster (CTA, Fig. 6).

    for every compressed query i and token j:
        x1, x2 = CT1[j], k1 + CT2[j]
        p = 2 ** (CS[i, x1] + CS[i, x2])
        AP[i, x1] += p;  AP[i, x2] += p

Scores are in log2 units, so the exponential is a table look-up and a shift.
"""

import numpy as np

from model.cta.config import CTAConfig
from model.fixed import floor_shift, round_half_up, saturate

__all__ = ["exp2", "aggregate", "normalise"]


def exp2(cfg: CTAConfig, e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``2**e`` in the prob format for ``e`` in score units, and the mask of saturated values.

    The fraction of ``e`` picks a table entry, its integer part shifts it: left exactly, right
    with rounding.
    """
    mantissa = cfg.exp_table[np.asarray(e, dtype=np.int64) & ((1 << cfg.exp_index) - 1)]
    left = floor_shift(e, cfg.exp_index) + cfg.fmt.prob.frac - (cfg.exp_mantissa - 1)
    # Beyond these bounds nothing changes any more: all ones on one side, zero on the other.
    left = np.clip(left, -(cfg.exp_mantissa + 1), cfg.fmt.prob.width)
    return saturate(round_half_up(mantissa << np.maximum(left, 0), np.maximum(-left, 0)),
                    cfg.fmt.prob)


def _add_columns(p: np.ndarray, index: np.ndarray, bank: np.ndarray) -> None:
    """Set ``bank[:, x]`` to the sum of the columns of ``p`` whose index is ``x``."""
    order = np.argsort(index, kind="stable")
    present, start = np.unique(index[order], return_index=True)
    bank[:, present] = np.add.reduceat(p[:, order], start, axis=1)


def aggregate(cfg: CTAConfig, s: np.ndarray, ct1: np.ndarray, ct2: np.ndarray, k1: int,
              exact: bool = False) -> tuple[np.ndarray, int]:
    """AP banks (2, k0, k) from scores ``s`` (k0, k1+k2), and the saturated exponentials.

    Bank 0 has the sums over the even tokens, bank 1 those over the odd ones; both exact. With
    ``exact`` the one column of level 2 is only read, and k is k1.
    """
    k = k1 if exact else s.shape[1]
    p, moved = exp2(cfg, s[:, ct1] + s[:, k1 + ct2])
    banks = np.zeros((2, len(s), k), dtype=np.int64)
    for parity in range(min(2, len(ct1))):
        tokens = slice(parity, None, 2)
        _add_columns(p[:, tokens], ct1[tokens], banks[parity])
        if not exact:
            _add_columns(p[:, tokens], k1 + ct2[tokens], banks[parity])
    return banks, int(np.count_nonzero(moved))


def normalise(cfg: CTAConfig, banks: np.ndarray) -> np.ndarray:
    """AP (k0, k) as the array takes it: even plus odd, a row scaled to the ap format.

    The shift comes from the largest entry of either bank (the sum may have one bit more), so it
    is known before any sum is formed. A sum that rounding would carry past the format stays at
    its maximum, which is less than one unit away and not counted as a saturation.
    """
    largest = banks.max(axis=(0, 2))
    width = np.array([int(v).bit_length() for v in largest], dtype=np.int64)
    shift = np.maximum(width + 1 - cfg.fmt.ap.width, 0)[:, None]
    return saturate(round_half_up(banks[0] + banks[1], shift), cfg.fmt.ap)[0]
