"""Compressed outputs: AP times V over the softmax denominator (CTA, eq. 8)."""

import numpy as np

from model.cta.config import CTAConfig
from model.fixed import floor_shift, round_half_up, saturate

__all__ = ["outputs"]


def outputs(cfg: CTAConfig, ap: np.ndarray, v: np.ndarray, shift_o: int,
            exact: bool = False) -> tuple[np.ndarray, int, int]:
    """Rows (k0, d) of O from ``ap`` (k0, k) and ``v`` (k, d); saturations; rows without weight.

    o = 2 * (ap V) / sum(ap): every token's probability is in ``ap`` once a level, and its value
    is the sum over the levels, hence the 2, which ``exact`` (one level) does not have. The
    denominator is the sum of the same rounded ``ap``, 2**e * (1 + f). Dividing by it is a shift
    by e, that keeps ``result_guard`` fraction bits, and a multiplication by 1/(1+f) from a table.
    A row whose denominator is 0 gives 0.
    """
    ap = np.asarray(ap, dtype=np.int64)
    total = ap.sum(axis=1)
    exponent = np.array([max(int(t).bit_length() - 1, 0) for t in total], dtype=np.int64)
    # The bits below the leading one, brought to recip_index bits: filled with zeros, or cut.
    fraction = total - (np.int64(1) << exponent)
    index = floor_shift(fraction << cfg.recip_index, exponent) & ((1 << cfg.recip_index) - 1)

    result = ap @ np.asarray(v, dtype=np.int64)
    operand, moved = saturate(floor_shift(result << cfg.result_guard, exponent[:, None]),
                              cfg.fmt.ppe)
    drop = cfg.result_guard + cfg.fmt.multiplier.width + shift_o - (0 if exact else 1)
    o, moved_again = saturate(round_half_up(operand * cfg.recip_table[index][:, None], drop),
                              cfg.fmt.output)
    zero = total == 0
    o[zero] = 0
    alive = ~zero[:, None]
    saturated = int(np.count_nonzero(moved & alive)) + int(np.count_nonzero(moved_again & alive))
    return o, saturated, int(np.count_nonzero(zero))
