"""1/w as the PPE multiplies it: a bucket width to the fields ``inv_w``, ``pre``, ``post``.

The PPE divides by multiplying: h = floor(((acc + b) >> pre) * inv_w >> post). This is the one
place that turns a width into those three numbers; quantisation, calibration and stimuli share it.
"""

import math

from model.cta.config import CTAConfig
from model.fixed import SHIFT

__all__ = ["bucket_fields", "bucket_limits"]


# 1/w of less is beyond a double; no field reaches anywhere near.
_LEAST = 2.0**-1000


def bucket_limits(cfg: CTAConfig, bound: int) -> tuple[float, float]:
    """Smallest and largest width, in accumulator units, for ``|acc + b| <= bound``.

    At the smallest no hash value saturates; at the largest all are -1 or 0.
    """
    return max(bound / (cfg.fmt.hash.max - 1), 1.0), 4.0 * max(bound, 1)


def bucket_fields(cfg: CTAConfig, w: float, bound: int) -> tuple[int, int, int]:
    """``(inv_w, pre, post)`` with inv_w / 2**(pre + post) nearest to 1/w.

    Parameters
    ----------
    w : bucket width in accumulator units, above 0.
    bound : largest ``|acc + b|`` that may come; ``pre`` is the least shift that takes it into the
        PPE operand, so that as many bits as there are take part.
    """
    if not (math.isfinite(w) and w > 0):
        raise ValueError(f"w is {w} accumulator units, must be above 0")
    pre = max(0, int(bound).bit_length() - (cfg.fmt.ppe.width - 1))
    top = cfg.fmt.multiplier.width
    # 2**pre / w = mantissa * 2**exponent with the mantissa in [1/2, 1), written as top bits.
    mantissa, exponent = math.frexp(1 / max(w, _LEAST))
    exponent += pre
    inv_w, post = round(math.ldexp(mantissa, top)), top - exponent
    if inv_w == 1 << top:
        inv_w, post = inv_w >> 1, post - 1
    if not 0 <= pre <= SHIFT.max or post < 0:
        least = 2.0 ** pre / cfg.fmt.multiplier.max
        raise ValueError(f"w is {w:.6g} accumulator units, must be at least {least:.6g}")
    if post > SHIFT.max:
        # Wider than the shift reaches: give up mantissa bits, as long as there are any.
        inv_w, post = inv_w >> (post - SHIFT.max), SHIFT.max
        if inv_w == 0:
            raise ValueError(f"w is {w:.6g} accumulator units, must be at most "
                             f"{2.0 ** (pre + SHIFT.max):.6g}")
    return inv_w, pre, post
