"""Registers that hold a value back by whole cycles."""

from amaranth.hdl import Signal, Value

__all__ = ["delay", "stages"]


def delay(m, value, cycles: int, *, reset: bool = False, name: str = "later"):
    """``value`` as it was ``cycles`` cycles ago.

    Only what marks other values as valid needs a reset (to 0).
    """
    return stages(m, value, cycles, reset=reset, name=name)[-1]


def stages(m, value, cycles: int, *, reset: bool = False, name: str = "later") -> list:
    """``value`` as it was 0, 1, ..., ``cycles`` cycles ago: what each stage of a pipeline sees.

    The registers are called ``<name>_1``, ``<name>_2``, ... after their stage.
    """
    seen = [Value.cast(value)]
    for stage in range(1, cycles + 1):
        later = Signal(seen[0].shape(), reset_less=not reset, name=f"{name}_{stage}")
        m.d.sync += later.eq(seen[-1])
        seen.append(later)
    return seen
