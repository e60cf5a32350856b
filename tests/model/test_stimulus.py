"""Random raw operands stay in their format; a shift is the least that fits."""

import numpy as np
import pytest

from model.fixed import SHIFT, Format
from model.stimulus import gaussian, least_shift


def test_values_fill_their_format_and_stay_in_it():
    fmt = Format(True, 6, 2)
    values = gaussian(np.random.default_rng(1), 1000, 20, fmt)
    assert values.dtype == np.int64 and (values.min(), values.max()) == (fmt.min, fmt.max)


@pytest.mark.parametrize("peak, limit", [(1, 1), (100, 7), (4096, 64), (1e6, 2047.5)])
def test_the_shift_is_the_least(peak, limit):
    shift = least_shift(peak, limit)
    assert peak / 2**shift <= limit and (shift == SHIFT.min or peak / 2**(shift - 1) > limit)


def test_the_shift_is_one_of_the_host():
    assert least_shift(0, 5) == SHIFT.min and least_shift(1e30, 1) == SHIFT.max
