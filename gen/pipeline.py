"""Registers that hold a value back by whole cycles."""

from amaranth.hdl import Signal, Value

__all__ = ["delay", "stages"]


def delay(m, value, cycles: int, *, reset: bool = False):
    """``value`` as it was ``cycles`` cycles ago.

    Only what marks other values as valid needs a reset (to 0).
    """
    return stages(m, value, cycles, reset=reset)[-1]


def stages(m, value, cycles: int, *, reset: bool = False) -> list:
    """``value`` as it was 0, 1, ..., ``cycles`` cycles ago: what each stage of a pipeline sees."""
    seen = [Value.cast(value)]
    for _ in range(cycles):
        later = Signal(seen[0].shape(), reset_less=not reset)
        m.d.sync += later.eq(seen[-1])
        seen.append(later)
    return seen
