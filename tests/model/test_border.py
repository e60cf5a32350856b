"""What crosses from real numbers to integers is counted, and what has no integer is refused."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model.border import LARGE, Borders, NotFinite, SaturationWarning
from model.fixed import Format

FINITE = arrays.arrays(np.float64, st.integers(0, 20),
                       elements=st.floats(allow_nan=False, allow_infinity=False))


@given(FINITE, st.integers(2, 20), st.booleans(), st.integers(-60, 60))
def test_every_finite_tensor_crosses_and_is_counted(value, width, signed, point):
    """A double is a dyadic number: the exact rounding is that of Python's integers."""
    from fractions import Fraction
    fmt, borders = Format(signed, width), Borders()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        raw = borders.quantise("x", fmt, value, point)
    exact = [(Fraction(one) * Fraction(2)**point + Fraction(1, 2)).__floor__() for one in value]
    beyond = sum(not fmt.min <= one <= fmt.max for one in exact)
    assert borders["x"].elements == value.size and borders["x"].saturated == beyond
    for one, due in zip(raw.tolist(), exact):
        # Beyond 2**52 a double cannot hold the half that is added; the formats end before that.
        assert one == min(max(due, fmt.min), fmt.max)


@given(FINITE.filter(lambda x: x.size > 1), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_tensor_that_is_not_finite_is_refused_by_name_and_count(value, bad):
    value = value.copy()
    value[0] = bad
    with pytest.raises(NotFinite, match=rf"^wq has 1 (NaN|infinite) of {value.size} values"):
        Borders().quantise("wq", Format(True, 8), value)
    with pytest.raises(ValueError, match="not finite"):
        Format(True, 8).quantise(value)
    value[1] = np.nan if np.isinf(bad) else np.inf
    with pytest.raises(NotFinite, match=f"^v has 1 NaN and 1 infinite of {value.size} values"):
        Borders().quantise("v", Format(True, 8), value)


def test_counts_add_up_travel_as_data_and_warn_where_the_share_is_large():
    borders, other = Borders(), Borders()
    borders.add("x", 1000, int(1000 * LARGE) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not borders.warn("layer")
    other.add("x", 0, 1)
    borders.merge(other)
    with pytest.warns(SaturationWarning, match=r"^layer 0: beyond .* x 1\.0% of"):
        assert borders.warn("layer 0")
    assert borders.saturated == {"x": 10} and "10 of 1,000" in borders.lines()[0]
    assert Borders.from_dict(borders.as_dict()) == borders


@pytest.mark.parametrize("counts", [3, {"elements": 3}, {"elements": 3, "saturated": 4},
                                    {"elements": 3.0, "saturated": 1},
                                    {"elements": 3, "saturated": -1}])
def test_counts_that_are_none_are_refused(counts):
    with pytest.raises(ValueError, match=r"^borders\.x is "):
        Borders.from_dict({"x": counts})
