"""Contents of the reciprocal tables, computed from their index."""

import numpy as np

from model.fixed import clog2

__all__ = ["mean_table", "recip_table"]


def recip_table(index: int, width: int) -> np.ndarray:
    """1/(1+f) at the middle of each of ``2**index`` steps of f in [0, 1), unsigned with ``width``
    fraction bits, below 1."""
    f = (np.arange(1 << index) + 0.5) / (1 << index)
    top = 1 << width
    return np.minimum(np.floor(top / (1 + f) + 0.5), top - 1).astype(np.int64)


def mean_table(n: int, frac: int) -> np.ndarray:
    """2**ceil(log2 c) / c for counts c in 0..n, unsigned with ``frac`` fraction bits, in [1, 2); entry 0
    is 0."""
    table = np.zeros(n + 1, dtype=np.int64)
    for c in range(1, n + 1):
        table[c] = ((1 << (clog2(c) + frac + 1)) + c) // (2 * c)
    return np.minimum(table, (1 << (frac + 1)) - 1)
