"""Fixed-point operations as Amaranth expressions: the twin of ``model/fixed.py``.

Pure expression builders: no state, no module, exact for every operand. A shift is an ``int`` or
an unsigned ``Value`` and may exceed the width of what it shifts.
"""

from amaranth.hdl import Cat, Const, Mux, Value, signed, unsigned

from model.fixed import Format

__all__ = ["shape", "floor_shift", "floor_and_half", "round_half_up", "saturate", "leading_one",
           "popcount"]


def shape(fmt: Format):
    """The Amaranth shape of a format."""
    return signed(fmt.width) if fmt.signed else unsigned(fmt.width)


def floor_shift(value, shift):
    """``floor(value / 2**shift)``; keeps the shape of ``value``."""
    return Value.cast(value) >> shift


def floor_and_half(value, shift):
    """``floor(value / 2**shift)`` and the topmost place it drops (0 at shift 0)."""
    value = Value.cast(value)
    kept = _like(Cat(Const(0, 1), value), value) >> shift
    return kept.shift_right(1), kept[0]


def round_half_up(value, shift):
    """``floor(value / 2**shift + 1/2)``; one bit wider than ``value``.

    Adds the topmost dropped place to the floor: the adder is as wide as the value. Adding the
    half first would take one as wide as the largest shift.
    """
    floor, half = floor_and_half(value, shift)
    return floor + half


def saturate(value, fmt: Format):
    """``value`` held to the range of ``fmt``. Returns ``(value, moved)``."""
    value = Value.cast(value)
    sign = value[-1] if value.shape().signed else Const(0, 1)
    # value fits iff all bits above the magnitude of fmt repeat the sign, and fmt has that sign.
    spill = Cat(bit ^ sign for bit in value[fmt.width - fmt.signed:])
    moved = spill.any() if fmt.signed else spill.any() | sign
    low, high = (Const(raw, fmt.width) for raw in (fmt.min & ((1 << fmt.width) - 1), fmt.max))
    raw = Mux(moved, Mux(sign, low, high), _widen(value, fmt.width))
    return (raw.as_signed() if fmt.signed else raw), moved


def leading_one(value):
    """Index of the topmost set bit; 0 where no bit is set."""
    bits = Value.cast(value)
    if len(bits) <= 2:
        return bits[-1] if len(bits) == 2 else Const(0, 1)
    half = 1 << ((len(bits) - 1).bit_length() - 1)
    below, above = leading_one(bits[:half]), leading_one(bits[half:])
    upper = bits[half:].any()
    return Cat(Mux(upper, _widen(above, len(below)), below), upper)


def popcount(bits):
    """How many bits are set."""
    bits = Value.cast(bits)
    if len(bits) <= 1:
        return bits
    half = len(bits) // 2
    return popcount(bits[:half]) + popcount(bits[half:])


def _like(bits, value):
    return bits.as_signed() if value.shape().signed else bits


def _widen(value, width):
    """The low ``width`` bits of ``value``, extended by its own sign where it has fewer."""
    fill = value[-1] if value.shape().signed else Const(0, 1)
    return Cat(value, fill.replicate(max(0, width - len(value))))[:width]
