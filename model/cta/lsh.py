"""Locality sensitive hashing: what bucket a token falls into (CTA, eq. 1).

    h = floor((A x + b) / w)

The division is a multiplication by ``inv_w`` between two shifts, as the PPE does it. The bars of
eq. 1 are a floor that lost its feet: negative values go down.
"""

import numpy as np

from model.cta.config import CTAConfig
from model.cta.job import LSHParams
from model.fixed import floor_shift, saturate

__all__ = ["hash_codes"]


def hash_codes(cfg: CTAConfig, x: np.ndarray, p: LSHParams) -> tuple[np.ndarray, int]:
    """Codes (n, l) of the tokens or residuals ``x`` (n, dw), and the saturations.

    A value that saturates as PPE operand and again as hash value counts twice.
    """
    acc = np.asarray(x, dtype=np.int64) @ np.asarray(p.a, dtype=np.int64).T
    operand, moved = saturate(floor_shift(acc + np.asarray(p.b, dtype=np.int64), p.pre),
                              cfg.fmt.ppe)
    codes, moved_again = saturate(floor_shift(operand * p.inv_w, p.post), cfg.fmt.hash)
    return codes, int(np.count_nonzero(moved)) + int(np.count_nonzero(moved_again))
