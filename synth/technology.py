"""Technologies: what an area is measured in.

A technology is data behind one class: a Liberty with the cells that mapping takes, a model of the
memories, and a factor by which areas of cells are scaled, with the reason for each. There are three by
default, all from the compact library in ``synth/data``, and any Liberty of one's own.
"""

from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path

from model.errors import ConfigError
from model.memory_area import FAKERAM45, Macro, MemoryArea
from model.technology import NAND2_45, NAND2_130, costs
from synth.cells import Cell, Library, cells_of
from synth.delays import fan_out_of_four
from synth.energies import inverter_energy
from synth.liberty import parse, read, written
from synth.sram import SRAMEnergy, SRAMModel, SRAMTiming

__all__ = ["NAMES", "Technology", "of_liberty", "technology"]

FO4_45 = 0.0220
"""ns of an inverter INV_X1 that drives four of itself in the NanGate 45 nm open cell library, typical corner,
by :func:`synth.delays.fan_out_of_four`."""


ENERGY_45, LEAKAGE_45 = 5.06, 17.4
"""fJ of a toggle of that inverter by :func:`synth.energies.inverter_energy`, and nW that a NAND2_X1 leaks."""

_NAND2 = "sky130_fd_sc_hd__nand2_1"


@dataclass(frozen=True)
class Technology:
    """What an area is measured in.

    Parameters
    ----------
    name : as the command line calls it.
    corner : process, voltage and temperature of the cells.
    liberty : text of the Liberty that is mapped to.
    library : its cells.
    sram : areas of the memories.
    scale : factor from areas of ``library`` to those of the technology.
    time : factor from times of ``library`` to those of the technology.
    notes : what the figures rest on, a sentence each; a report prints them.
    licence : of the figures.
    energy, leakage : factors from energies and leakage of ``library`` to those of the technology.
    """

    name: str
    corner: str
    liberty: str
    library: Library
    sram: SRAMModel
    scale: float
    time: float
    notes: tuple[str, ...]
    licence: str
    energy: float = 1.0
    leakage: float = 1.0

    def cell_area(self, name: str) -> float:
        """µm² of a cell, scaled."""
        return self.library.cells[name].area * self.scale

    def timed_cells(self, macros: dict[str, Macro]) -> dict[str, Cell]:
        """The cells of the library and the memories ``macros`` by name, with times of the library:
        ``time`` takes all of them to the technology."""
        model = replace(self.sram, timing=self.sram.timing.scaled(1 / self.time))
        return self.library.cells | {name: model.cell(macro) for name, macro in macros.items()}


def _compact() -> str:
    return resources.files("synth").joinpath("data/sky130hd_compact.lib").read_text("utf-8")


_TIMING45 = SRAMTiming(access=0.142, root=0.00102, stacked=0.06, setup=0.05, pin=5.0, loads=(5.0, 500.0),
                       slews=(0.009, 0.227))
"""Access times fitted to :data:`synth.sram.FAKERAM45_ACCESS`, all within 8 %; macros on top of each other
cost a multiplexer."""
_TIMING130 = SRAMTiming(access=3.0, root=0.0, stacked=0.2, setup=0.0, pin=6.9, loads=(1.7, 27.6),
                        slews=(0.055, 0.345))
"""OpenRAM's macros for sky130 that were simulated, 8 and 16 kbit: 2.4 to 3.4 ns, the smaller the slower."""


_ENERGY45 = SRAMEnergy(fixed=662.0, column=22.1, row=5.03, leakage=41.0)
"""Fitted to :data:`synth.sram.FAKERAM45_ENERGY`, all within 13 %; the leakage is that of all bits of
:data:`synth.sram.FAKERAM45_LEAKAGE` together."""


def _timed(area: MemoryArea, timing: SRAMTiming, energy: SRAMEnergy) -> SRAMModel:
    """Areas of a technology, with times and energies."""
    return SRAMModel(**{each.name: getattr(area, each.name) for each in fields(area)}, timing=timing,
                     energy=energy)


_NOTE45 = (f"memories: areas fitted to {len(FAKERAM45)} single-port macros fakeram45 of "
           "OpenROAD-flow-scripts; two ports count 1.5 and 2.0 times")
_NOTE_ENERGY = ("energies of memories: an access as fitted to six macros fakeram45, all within 13 %")


def _scaled(name: str, nm: int) -> Technology:
    cost = costs(name)
    text = _compact()
    library = cells_of(parse(text))
    time = FO4_45 / fan_out_of_four(library) * nm / 45
    energy = ENERGY_45 / inverter_energy(library) * nm / 45
    notes = [f"cells: mapped to sky130_fd_sc_hd and scaled by gate equivalents, a NAND2 of {NAND2_130} µm² "
             f"there and of {NAND2_45} µm² in the NanGate 45 nm library",
             f"delays: of sky130_fd_sc_hd, times {time:.3f}: an inverter that drives four takes {FO4_45} ns "
             "in the NanGate 45 nm library",
             f"energies: of sky130_fd_sc_hd, times {energy:.3f}: such an inverter takes {ENERGY_45} fJ a "
             f"toggle there, and a NAND2 leaks {LEAKAGE_45} nW", _NOTE45, _NOTE_ENERGY]
    if nm != 45:
        notes.append(f"all areas once more by ({nm}/45)², all delays and energies by {nm}/45")
    return Technology(name, "scaled from sky130, typical", text, library,
                      _timed(cost.memory, _TIMING45.scaled(nm / 45), _ENERGY45.scaled(nm / 45)),
                      cost.gate / NAND2_130, time, tuple(notes), "Apache-2.0", energy,
                      LEAKAGE_45 / library.cells[_NAND2].leakage)


def _sky130() -> Technology:
    text, memory = _compact(), costs("sky130").memory
    library = cells_of(parse(text))
    return Technology("sky130", "typical, 1.8 V, 25 °C", text, library,
                      _timed(memory, _TIMING130, _ENERGY45.scaled(inverter_energy(library) / ENERGY_45)), 1.0,
                      1.0, (
        "cells: sky130_fd_sc_hd, a compact library of 77 of its cells",
        f"memories: {memory.bit} µm² a bit, 2.55 times that with two ports, as the macros of OpenRAM have",
        "energies of memories: those at 45 nm, times what an inverter takes more"),
        "Apache-2.0")


MAKERS = {"45nm": lambda: _scaled("45nm", 45), "40nm": lambda: _scaled("40nm", 40), "sky130": _sky130}
NAMES = tuple(MAKERS)
"""The technologies that need no file; the first is the default."""


def technology(name: str = NAMES[0]) -> Technology:
    """A technology by name. Raises ConfigError."""
    if name not in MAKERS:
        raise ConfigError(f"technology is {name!r}, must be one of {', '.join(NAMES)}")
    return MAKERS[name]()


def of_liberty(path) -> Technology:
    """A technology from a Liberty of one's own, which may be gzipped; its memories are those of 45 nm.

    Raises :class:`synth.liberty.LibertyError`.
    """
    group = read(path)
    library = cells_of(group)
    return Technology(Path(path).name, f"{library.voltage:g} V, {library.temperature:g} °C", written(group),
                      library, _timed(costs("45nm").memory, _TIMING45, _ENERGY45), 1.0, 1.0,
                      (f"cells: {library.name}, {len(library.cells)} cells", _NOTE45, _NOTE_ENERGY),
                      "its own")
