"""model.fixed against exact rationals: every value of a small width, every shift."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from model.fixed import (
    Format,
    bits_for_range,
    clog2,
    floor_shift,
    pack,
    round_half_up,
    saturate,
    unpack,
    wrap,
)

FORMATS = [Format(signed, width, frac) for signed in (False, True)
           for width in range(1 + signed, 8) for frac in (0, 2)]
RAW = np.arange(-300, 301)


def same(format_):
    return f"{'s' if format_.signed else 'u'}{format_.width}.{format_.frac}"


@pytest.mark.parametrize("shift", range(12))
def test_floor_shift(shift):
    assert floor_shift(RAW, shift).tolist() == [floor(Fraction(int(r), 2**shift)) for r in RAW]


@pytest.mark.parametrize("shift", range(12))
def test_round_half_up(shift):
    want = [floor(Fraction(int(r), 2**shift) + Fraction(1, 2)) for r in RAW]
    assert round_half_up(RAW, shift).tolist() == want


def test_round_half_up_takes_ties_towards_plus_infinity():
    assert round_half_up([-3, -1, 1, 3], 1).tolist() == [-1, 0, 1, 2]
    assert round_half_up([-5, -4, -3], [0, 0, 0]).tolist() == [-5, -4, -3]


def test_shifts_by_element():
    assert round_half_up([5, 5, 5], [0, 1, 2]).tolist() == [5, 3, 1]
    assert floor_shift([-5, -5, -5], [0, 1, 2]).tolist() == [-5, -3, -2]


@pytest.mark.parametrize("fmt", FORMATS, ids=same)
def test_range(fmt):
    values = range(-(1 << fmt.width - 1), 1 << fmt.width - 1) if fmt.signed else \
        range(1 << fmt.width)
    assert (fmt.min, fmt.max) == (values[0], values[-1])
    assert fmt.holds(RAW).tolist() == [r in values for r in RAW]


@pytest.mark.parametrize("fmt", FORMATS, ids=same)
def test_saturate(fmt):
    value, moved = saturate(RAW, fmt)
    assert value.tolist() == [min(max(int(r), fmt.min), fmt.max) for r in RAW]
    assert np.array_equal(moved, ~fmt.holds(RAW))


@pytest.mark.parametrize("fmt", FORMATS, ids=same)
def test_wrap(fmt):
    value = wrap(RAW, fmt)
    assert fmt.holds(value).all()
    assert not ((value - RAW) % 2**fmt.width).any()


@pytest.mark.parametrize("fmt", FORMATS, ids=same)
def test_quantise(fmt):
    sixteenths = np.arange(-2100, 2101)
    raw, saturated = fmt.quantise(sixteenths / 16)
    exact = [floor(Fraction(int(s), 16) * 2**fmt.frac + Fraction(1, 2)) for s in sixteenths]
    held = [min(max(e, fmt.min), fmt.max) for e in exact]
    assert raw.tolist() == held
    assert saturated == sum(e != h for e, h in zip(exact, held))
    assert fmt.real(raw).tolist() == [h / 2**fmt.frac for h in held]


def test_quantise_with_a_point_of_its_own():
    fmt = Format(True, 6, 2)
    assert fmt.quantise([0.3, -0.3], frac=4)[0].tolist() == [5, -5]
    assert fmt.real([5], frac=4).tolist() == [5 / 16]


@pytest.mark.parametrize("signed, width", [(True, 0), (True, 1), (False, 0)])
def test_too_narrow(signed, width):
    with pytest.raises(ValueError, match=f"width is {width}, must be at least {1 + signed}"):
        Format(signed, width)


def test_clog2():
    for count in range(1, 1100):
        assert 2**clog2(count) >= count and (count == 1 or 2**(clog2(count) - 1) < count)
    with pytest.raises(ValueError, match="count is 0, must be at least 1"):
        clog2(0)


def test_bits_for_range():
    for low in range(-40, 41):
        for high in range(low, 41):
            width = bits_for_range(low, high)
            narrower = 1 << max(width - 2, 0)
            assert -(1 << width - 1) <= low and high < 1 << width - 1
            assert width == 1 or not (-narrower <= low and high < narrower)


@pytest.mark.parametrize("fmt", FORMATS, ids=same)
@pytest.mark.parametrize("per_word, container", [(1, None), (3, None), (4, 8)])
def test_pack(fmt, per_word, container):
    raw = np.arange(fmt.min, fmt.max + 1)
    words = pack(raw, fmt, per_word, container)
    bits = container or fmt.width
    assert len(words) == -(-len(raw) // per_word)
    assert all(0 <= word < 1 << bits * per_word for word in words)
    assert words[0] % 2**bits == fmt.min % 2**bits          # first value lowest, sign extended
    assert np.array_equal(unpack(words, fmt, per_word, len(raw), container), raw)


def test_pack_refuses():
    fmt = Format(True, 4)
    with pytest.raises(ValueError, match=r"outside \[-8, 7\]"):
        pack([8], fmt, 2)
    with pytest.raises(ValueError, match="container is 3 bits, must be at least 4"):
        pack([0], fmt, 2, 3)
    with pytest.raises(ValueError, match="2 fields, 3 asked for"):
        unpack([0], fmt, 2, 3)
