"""How fast the clock of a mapped design may be, and what is in the way."""

from dataclasses import dataclass

from model.memory_area import Macro
from synth.area import instances
from synth.buffering import buffered
from synth.hierarchy import graph_of
from synth.mapping import Mapped
from synth.technology import Technology
from synth.timing import TimingPath, arrivals, worst_paths

__all__ = ["PERIOD", "Buffers", "Speed", "speed"]

PERIOD = 1.0
"""ns of the clock that slacks are measured against, where nothing else is asked for."""


@dataclass(frozen=True)
class Buffers:
    """Buffers that were put in: ``count`` in the design, and their µm²."""

    count: int
    um2: float


@dataclass(frozen=True)
class Speed:
    """Worst paths of a design at a clock of ``period`` ns: one for each block, the worst first."""

    period: float
    paths: tuple[TimingPath, ...]
    buffers: Buffers

    @property
    def worst_slack(self) -> float:
        """ns; the period where no path leads from a register to a register."""
        return self.paths[0].slack if self.paths else self.period

    @property
    def fmax(self) -> float:
        """MHz at which the worst path has no slack, and inf where there is none."""
        return 1000 / (self.period - self.worst_slack) if self.paths else float("inf")


def speed(mapped: dict[str, Mapped], names: list[str], macros: dict[str, Macro], technology: Technology,
          static: dict[str, tuple[str, ...]], period: float = PERIOD) -> Speed:
    """The worst paths of a design whose modules are ``names``, children before parents, the top last.

    ``static`` names inputs of modules to which a path may take as long as it likes. Raises
    :class:`synth.timing.LoopError`.
    """
    cells = technology.timed_cells(macros)
    netlists, added = buffered({name: mapped[name].netlist for name in names}, names, technology.library,
                               cells)
    graph = graph_of(netlists, names, cells, static)
    count = instances(mapped, names)
    return Speed(period, tuple(worst_paths(graph, arrivals(graph), period, technology.time)), Buffers(
        sum(count[name] * sum(kinds.values()) for name, kinds in added.items()),
        sum(count[name] * number * technology.cell_area(kind) for name, kinds in added.items()
            for kind, number in kinds.items())))
