"""Registers that hold a value back by whole cycles."""

from amaranth.hdl import Signal, Value

__all__ = ["delay"]


def delay(m, value, cycles: int, *, reset: bool = False):
    """``value`` as it was ``cycles`` cycles ago.

    Only what marks other values as valid needs a reset (to 0).
    """
    value = Value.cast(value)
    for _ in range(cycles):
        later = Signal(value.shape(), reset_less=not reset)
        m.d.sync += later.eq(value)
        value = later
    return value
