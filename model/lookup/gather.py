"""Weighted sum of table rows: y = sum_k sum_i s_ki T_k[code_ki] + bias (LookupFFN, eq. 7).

Sums are exact, so neither the order of tables, tokens and tiles nor the number of lanes shows.
"""

import numpy as np

from model.fixed import round_half_up, saturate
from model.lookup.config import LookupConfig
from model.lookup.job import Order

__all__ = ["orders", "rows", "accumulate", "gather", "table_bytes"]


def orders(cfg: LookupConfig) -> tuple[Order, ...]:
    """The orders that an engine takes: the table-major one needs the tile."""
    return tuple(Order) if cfg.tile else (Order.TOKEN_MAJOR,)


def rows(cfg: LookupConfig, codes: np.ndarray) -> np.ndarray:
    """Row numbers (t, h, entries), ``table * 2**tau + code``, in the order of the reads."""
    return (np.arange(cfg.h)[:, None] << cfg.tau) + codes


def accumulate(cfg: LookupConfig, codes: np.ndarray, scores: np.ndarray,
               tables: np.ndarray) -> np.ndarray:
    """Accumulators (t, d): ``codes`` and ``scores`` (t, h, entries), ``tables`` (h, 2**tau, d)."""
    acc = np.zeros((len(codes), cfg.d), dtype=np.int64)
    for k in range(cfg.h):
        for i in range(codes.shape[2]):
            acc += scores[:, k, i, None] * tables[k, codes[:, k, i]].astype(np.int64)
    return acc


def gather(cfg: LookupConfig, codes: np.ndarray, scores: np.ndarray, tables: np.ndarray,
           out_bias: np.ndarray, shift_y: int,
           residual: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """y (t, d) in the output format, and the saturated values; ``residual`` has the point of y."""
    acc = accumulate(cfg, codes, scores, tables) + np.asarray(out_bias, dtype=np.int64)
    y = round_half_up(acc, shift_y)
    if residual is not None:
        y = y + np.asarray(residual, dtype=np.int64)
    y, moved = saturate(y, cfg.fmt.output)
    return y, int(np.count_nonzero(moved))


def table_bytes(cfg: LookupConfig, tokens: int, order: Order) -> int:
    """Bytes read from the tables by a job: whole rows of whole beats.

    Token-major reads the rows of N(z) for each token; table-major reads every table once for
    each batch, the last one included.
    """
    if order == Order.TABLE_MAJOR:
        return -(-tokens // cfg.batch) * cfg.table_bytes
    return tokens * cfg.h * cfg.entries * cfg.row_bytes
