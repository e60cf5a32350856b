"""The torch twins against the golden integers, and their straight-through gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import fixed as golden
from model.errors import ConfigError
from model.fixed import Format
from sw.quant import fixed

LIMIT = 1 << fixed.EXACT_BITS
words = st.one_of(st.integers(-LIMIT, LIMIT), st.integers(-9, 9),
                  st.builds(lambda k, s: k << s, st.integers(-99, 99), st.integers(0, 40)))
formats = st.builds(Format, st.booleans(), st.integers(2, 50), st.integers(0, 20))


def tensor(values):
    return torch.tensor([float(v) for v in values], dtype=torch.float64)


@settings(max_examples=300, deadline=None)
@given(st.lists(words, min_size=1, max_size=20), st.integers(0, 31))
def test_shifts(values, shift):
    # Ties of either sign, made on purpose: half of the unit that is kept, off by one.
    half = 1 << shift >> 1
    values += [sign * (k * (1 << shift) + half) + e
               for k in (0, 1, 5) for sign in (1, -1) for e in (-1, 0, 1)]
    array = np.array(values, dtype=np.int64)
    for name in ("floor_shift", "round_half_up"):
        want = getattr(golden, name)(array, shift)
        got = getattr(fixed, name)(tensor(values), shift)
        assert np.array_equal(got.numpy(), want.astype(float)), name
        one_each = getattr(fixed, name)(tensor(values), torch.full((len(values),), shift))
        assert torch.equal(one_each, got), name


@settings(max_examples=200, deadline=None)
@given(st.lists(words, min_size=1, max_size=20), formats)
def test_ranges(values, fmt):
    values += [fmt.min - 1, fmt.min, fmt.max, fmt.max + 1]
    array = np.array(values, dtype=np.int64)
    value, moved = fixed.saturate(tensor(values), fmt)
    want, want_moved = golden.saturate(array, fmt)
    assert np.array_equal(value.numpy(), want.astype(float))
    assert np.array_equal(moved.numpy(), want_moved)
    assert np.array_equal(fixed.wrap(tensor(values), fmt).numpy(), golden.wrap(array, fmt))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20), formats,
       st.integers(-10, 30))
def test_border(values, fmt, point):
    values += [(k + 0.5) * 2.0**-point for k in (-3, -1, 0, 2)]
    raw, moved = fixed.quantise(tensor(values), fmt, point)
    want, count = fmt.quantise(values, point)
    assert np.array_equal(raw.numpy(), want) and int(moved.sum()) == count
    assert np.array_equal(fixed.real(raw, fmt, point).numpy(), fmt.real(want, point))
    if point == fmt.frac:
        assert torch.equal(fixed.quantise(tensor(values), fmt)[0], raw)


def test_single_precision_goes_over_the_border_unharmed():
    value = torch.tensor([0.1, -7.3], dtype=torch.float32)
    fmt = Format(True, 30, 20)
    assert np.array_equal(fixed.quantise(value, fmt)[0].numpy(), fmt.quantise(value.numpy())[0])


@given(st.integers(0, LIMIT))
@settings(deadline=None)
def test_bit_length(value):
    assert fixed.bit_length(tensor([value])).tolist() == [value.bit_length()]


def gradient(function, values):
    x = tensor(values).requires_grad_()
    function(x).sum().backward()
    return x.grad.tolist()


def test_gradients():
    fmt = Format(True, 4)                                           # -8..7
    values = [-9, -8, -0.6, 0.5, 7, 8, 100]
    inside = [0, 1, 1, 1, 1, 0, 0]
    assert gradient(lambda x: fixed.saturate(x, fmt)[0], values) == inside
    assert gradient(lambda x: fixed.wrap(x, fmt), values) == [1] * 7
    for shift in (0, 1, 5, 31):
        assert gradient(lambda x: fixed.round_half_up(x, shift), values) == [2.0**-shift] * 7
        assert gradient(lambda x: fixed.floor_shift(x, shift), values) == [2.0**-shift] * 7
    assert gradient(lambda x: fixed.quantise(x, fmt, 0)[0],
                    [-9, -8.4, 7.4, 7.6]) == [0, 1, 1, 0]
    assert gradient(lambda x: fixed.quantise(x, fmt, 3)[0], [0.5]) == [8]
    assert gradient(lambda x: fixed.real(x, fmt, 3), [4.0]) == [0.125]


def test_gradient_of_a_shift_that_broadcasts():
    x = torch.ones(3, 1, dtype=torch.float64, requires_grad=True)
    fixed.round_half_up(x, torch.tensor([0, 1, 2])).sum().backward()
    assert x.grad.tolist() == [[1.75]] * 3


def test_words_beyond_float64_are_refused():
    fixed.require_exact(acc=Format(True, 53))
    with pytest.raises(ConfigError, match="acc.width is 54, must be at most 53"):
        fixed.require_exact(acc=Format(True, 54))
