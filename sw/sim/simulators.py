"""Simulators on which the cocotb benches run. A further one is a file beside this and a line here."""

from sw.sim import icarus, verilator_vpi
from sw.sim.bench_simulator import BenchSimulator

__all__ = ["SIMULATORS"]

SIMULATORS: dict[str, BenchSimulator] = {each.name: each for each in (
    verilator_vpi.SIMULATOR, icarus.SIMULATOR)}
"""The first is the default."""
