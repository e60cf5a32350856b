"""Registers that hold a value back by whole cycles."""

from amaranth.hdl import Signal, Value

__all__ = ["delay", "stages"]


def delay(m, value, cycles: int, *, name: str = "", reset: bool = False):
    """``value`` as it was ``cycles`` cycles ago.

    Only what marks other values as valid needs a reset (to 0). The registers are called ``name_1``,
    ``name_2``, ... after the value, if that is a signal.
    """
    return stages(m, value, cycles, name=name, reset=reset)[-1]


def stages(m, value, cycles: int, *, name: str = "", reset: bool = False) -> list:
    """``value`` as it was 0, 1, ..., ``cycles`` cycles ago: what each stage of a pipeline sees."""
    seen = [Value.cast(value)]
    name = name or getattr(seen[0], "name", "later")
    for at in range(1, cycles + 1):
        later = Signal(seen[0].shape(), name=f"{name}_{at}", reset_less=not reset)
        m.d.sync += later.eq(seen[-1])
        seen.append(later)
    return seen
