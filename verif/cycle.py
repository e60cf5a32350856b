"""The cycle of a cocotb bench: clock and reset, drive, settle, look.

A cycle runs from one falling edge to the next. A bench drives at its start, ``await settle()``,
looks at the outputs of this same cycle, and ``await tick(dut)``.
"""

from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

from verif.bench import inputs

__all__ = ["start", "settle", "tick", "put", "array", "signed", "outputs_are_known"]


async def start(dut, reset_cycles: int = 1):
    """Start the clock, hold reset with all inputs at 0, and return in the first cycle after."""
    for name in inputs():
        getattr(dut, name).value = 0
    if hasattr(dut, "clk"):
        Clock(dut.clk, 2, unit="ns").start(start_high=False)
        if hasattr(dut, "rst"):
            dut.rst.value = 1
        for _ in range(reset_cycles):
            # From an unknown clock its first 0 is a falling edge as well.
            await RisingEdge(dut.clk)
            await FallingEdge(dut.clk)
        if hasattr(dut, "rst"):
            dut.rst.value = 0


async def settle():
    """Let combinational logic follow what was driven; outputs of this cycle can then be read."""
    await ReadOnly()


async def tick(dut):
    """To the start of the next cycle."""
    await FallingEdge(dut.clk)


def put(handle, value: int):
    """Drive a port with a number of either sign, reduced to the port's width."""
    handle.value = int(value) & ((1 << len(handle)) - 1)


def array(dut, name: str, *shape: int):
    """Handles of an array port: ``array(dut, "x", 3)`` is ``[dut.x__0, dut.x__1, dut.x__2]``."""
    if not shape:
        return getattr(dut, name)
    return [array(dut, f"{name}__{i}", *shape[1:]) for i in range(shape[0])]


def signed(handle) -> int:
    """The value of a port as two's complement."""
    return handle.value.to_signed()


async def outputs_are_known(dut, outputs, inputs):
    """Fail in the first cycle in which a valid or ready of the engine is neither 0 nor 1, or a
    payload is not known beside its valid. For a task that runs beside the test."""
    cycle = 0
    while True:
        await settle()
        for name in inputs:
            ready = getattr(dut, f"{name}__ready").value
            assert ready.is_resolvable, f"{name}.ready is {ready} in cycle {cycle}"
        for name in outputs:
            valid = getattr(dut, f"{name}__valid").value
            payload = getattr(dut, f"{name}__payload").value
            assert valid.is_resolvable, f"{name}.valid is {valid} in cycle {cycle}"
            assert valid == 0 or payload.is_resolvable, f"{name} is {payload} in cycle {cycle}"
        await tick(dut)
        cycle += 1
