"""What a toggle takes, net by net: the charge of the pins it leads to, and what cells take inside.

All in fJ, of the library; a technology scales them. Wires are not there before layout, so their charge is
not in it.
"""

import numpy as np

from synth.cells import Cell, Library
from synth.delays import smallest_inverter
from synth.netlist import Netlist

__all__ = ["clock_energy", "inverter_energy", "net_energies", "tree_energy"]

BRANCHES = 20
"""Clock pins, or buffers of the clock, that a buffer of the clock tree is taken to drive."""


def _charge(library: Library, capacitance: float) -> float:
    """fJ of a toggle of so many fF: half of what a full cycle takes from the supply."""
    return 0.5 * capacitance * library.voltage ** 2


def inverter_energy(library: Library) -> float:
    """fJ of a toggle of the smallest inverter that drives four of itself: what energies of libraries are
    compared by, as delays are by its delay."""
    cell = smallest_inverter(library)
    arc = cell.arcs[0]
    return cell.energies.get(arc.end, 0.0) + cell.energies.get(arc.start, 0.0) \
        + _charge(library, 4 * cell.pins[arc.start].capacitance)


def net_energies(netlist: Netlist, library: Library) -> np.ndarray:
    """fJ of a toggle of each net of a module (nets,), by its own cells; the clock is not among them.

    A net that crosses a border has in each module the pins that are there, so nothing counts twice.
    """
    found = np.zeros(netlist.nets)
    for placed in netlist.cells:
        kind = library.cells.get(placed.kind)
        if kind is None:
            continue
        for name, bits in placed.pins.items():
            pin = kind.pins[name]
            if bits[0] >= 0 and not pin.clock:
                found[bits[0]] += kind.energies.get(name, 0.0)
                if pin.direction == "input":
                    found[bits[0]] += _charge(library, pin.capacitance)
    return found


def clock_energy(netlist: Netlist, library: Library) -> tuple[int, float]:
    """Flip-flops of a module, and the fJ that their clock pins take in a cycle: two edges each."""
    pins = [(library.cells[placed.kind], name) for placed in netlist.cells if placed.kind in library.cells
            for name in placed.pins if library.cells[placed.kind].pins[name].clock]
    return len(pins), sum(2 * (cell.energies.get(name, 0.0) + _charge(library, cell.pins[name].capacitance))
                          for cell, name in pins)


def tree_energy(flip_flops: int, library: Library, buffers: list[Cell]) -> float:
    """fJ a cycle of a clock tree to so many flip-flops, estimated: middle-sized buffers, each of which drives
    :data:`BRANCHES` others. 0 where the library has no buffer."""
    if not buffers:
        return 0.0
    cell = buffers[len(buffers) // 2]
    arc = cell.arcs[0]
    one = 2 * (cell.energies.get(arc.end, 0.0) + cell.energies.get(arc.start, 0.0)
               + _charge(library, cell.pins[arc.start].capacitance))
    count, level = 0, flip_flops
    while level > 1:
        level = -(-level // BRANCHES)
        count += level
    return count * one
