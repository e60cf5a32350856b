"""Runs a coroutine over a component in the Amaranth simulator."""

from amaranth.hdl import ResetInserter
from amaranth.sim import Simulator

__all__ = ["simulate"]


def simulate(dut, bench, reset=None):
    """``bench(ctx)`` sets, looks and ticks; ``reset`` is a signal that resets the component."""
    sim = Simulator(dut if reset is None else ResetInserter(reset)(dut))
    sim.add_clock(1e-9)
    sim.add_testbench(bench)
    sim.run()
