"""Hash codes and the weights of their rows (LookupFFN, eqs. 6 to 8, and the variant of Sec. 4).

    code_k : bit j is z_j > 0, j = 0 the most significant
    plain :        s = prod_j sigmoid(2 |z_j|)
    gelu_scaled :  s = <z, S_code> * the same,   <z, S_code> = sum_j |z_j|

The row at one flipped bit j has exp(-2|z_j|) times the plain weight, and <z, S> = sum|z| - 2|z_j|.
Products become sums of logarithms: -log2 s = sum_j log2(1 + exp(-2|z_j|)) + 2 log2(e) |z_j| (flip).
"""

import numpy as np

from model.fixed import round_half_up, saturate
from model.lookup.config import LookupConfig

__all__ = ["codes", "log_weight", "exponential", "scores"]


def _by_table(cfg: LookupConfig, z: np.ndarray) -> np.ndarray:
    return np.asarray(z, dtype=np.int64).reshape(len(z), cfg.h, cfg.tau)


def codes(cfg: LookupConfig, z: np.ndarray) -> np.ndarray:
    """Codes (t, h, entries) of ``z`` (t, h*tau): the largest weight, then flips of bit 0, 1, ..."""
    place = np.int64(1) << np.arange(cfg.tau - 1, -1, -1)
    best = ((_by_table(cfg, z) > 0) * place).sum(axis=2, keepdims=True)
    return np.concatenate([best, best ^ place], axis=2) if cfg.neighbours else best


def log_weight(cfg: LookupConfig, z: np.ndarray) -> np.ndarray:
    """-log2 of the plain weights (t, h, entries), ``log_mantissa`` fraction bits, exact sums."""
    magnitude = np.abs(_by_table(cfg, z))
    index = magnitude >> cfg.log_step
    inside = index < len(cfg.log_table)
    terms = np.where(inside, cfg.log_table[np.where(inside, index, 0)], 0)
    total = terms.sum(axis=2, keepdims=True)
    if not cfg.neighbours:
        return total
    flips = round_half_up(magnitude * cfg.flip_factor, cfg.flip_shift)
    return np.concatenate([total, total + flips], axis=2)


def exponential(cfg: LookupConfig, log: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``2**-log`` as a mantissa in [1, 2) of ``exp_mantissa`` bits and a shift to the right."""
    e = -round_half_up(log, cfg.log_mantissa - cfg.exp_index)
    return cfg.exp_table[e & ((1 << cfg.exp_index) - 1)], -(e >> cfg.exp_index)


def scores(cfg: LookupConfig, z: np.ndarray, shift_s: np.ndarray) -> tuple[np.ndarray, int]:
    """Weights (t, h, entries) in the score format, and the saturated ones.

    One rounding, behind the only product: <z, S> (1 in the plain variant) times the mantissa,
    shifted by ``shift_s`` (h,) of the table and by the exponent together.
    """
    magnitude = np.abs(_by_table(cfg, z))
    mantissa, right = exponential(cfg, log_weight(cfg, z))
    if cfg.gelu_scaled:
        inner = magnitude.sum(axis=2, keepdims=True)
        if cfg.neighbours:
            inner = np.concatenate([inner, inner - 2 * magnitude], axis=2)
    else:
        inner = np.int64(1 << cfg.fmt.z.frac)
    shift = np.asarray(shift_s, dtype=np.int64)[:, None] + right
    # Far beyond the width of the product nothing is left; a shifter of 6 bits may stop there.
    s, moved = saturate(round_half_up(inner * mantissa, np.minimum(shift, 62)), cfg.score)
    return s, int(np.count_nonzero(moved))
