"""Trees of buffers for nets that are too heavy for what drives them, across the borders of modules.

Mapping sees a module alone: it buffers nets inside, but takes what a port leads to for nothing. A register
that leads to a port of each of 64 lanes stays the smallest there is, and the path through it would tell
more about the flow than about the engine. Here, children first, every such net gets the tree that takes
least time by a linear model of delay: a cell takes a fixed time, and a slope times its load. A module is
changed the same way for all its instances. Nothing is resized and nothing is moved; a net gets its tree
without regard to which of its sinks are late.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from synth.cells import Arc, Cell, Library
from synth.delays import fan_out_of_four, smallest_inverter
from synth.netlist import Cell as Placed
from synth.netlist import Netlist

__all__ = ["buffered", "buffers"]

SLEW_COUNTS = 0.3
"""How much of the slew at the end of a net comes back as delay of the cell behind it."""

LEVELS = 3
"""Of buffers between a net and its sinks, at most."""

GAIN = 0.5
"""What a tree must save to be worth its cells, in delays of an inverter that drives four."""

COST = 0.1
"""What each buffer counts as, in units of what a tree must save: of trees that are about as fast the
smaller is taken."""

STEP = 1.05
"""Loads are told apart by 5 %."""


@dataclass(frozen=True)
class _Drive:
    """A linear model of a driver: ``fixed`` ns, and ``slope`` ns a fF."""

    fixed: float
    slope: float


@dataclass(frozen=True)
class _Buffer:
    """A buffer ``kind`` with its pins, what its input loads, and how it drives."""

    kind: str
    input: str
    output: str
    load: float
    drive: _Drive


def buffers(library: Library) -> list[Cell]:
    """The cells whose output is their only input, the smallest first."""
    found = []
    for cell in library.cells.values():
        inputs = [pin for pin in cell.pins.values() if pin.direction == "input"]
        outputs = [pin for pin in cell.pins.values() if pin.direction == "output"]
        if len(inputs) == len(outputs) == 1 and len(cell.arcs) > 0 and not cell.sequential \
                and outputs[0].function.replace(" ", "").strip("()") == inputs[0].name:
            found.append(cell)
    return sorted(found, key=lambda cell: (cell.area, cell.name))


def buffered(netlists: dict[str, Netlist], names: list[str], library: Library, cells: dict[str, Cell]
             ) -> tuple[dict[str, Netlist], dict[str, dict[str, int]]]:
    """The modules ``names``, children before parents, with trees; and how many buffers of each kind each got.

    ``cells`` are those of the library and the memories. A library without buffers leaves all as it is.
    """
    trees = _Trees(library, cells)
    if not trees.kinds:
        return dict(netlists), {name: {} for name in names}
    done, added = {}, {}
    for name in names:
        done[name] = trees.module(netlists[name])
        more = done[name].cells[len(netlists[name].cells):]
        added[name] = {kind: sum(cell.kind == kind for cell in more) for kind in {c.kind for c in more}}
    return done, added


class _Trees:
    def __init__(self, library: Library, cells: dict[str, Cell]):
        inverter = smallest_inverter(library)
        unit = inverter.pins[inverter.arcs[0].start].capacitance
        self.loads = 4 * unit, 40 * unit
        self.slew = float(inverter.arcs[0].slew[0].at(0.0, self.loads[0]))
        self.gain = GAIN * fan_out_of_four(library)
        self.cost = COST * self.gain
        self.cells = cells
        self._plans: dict[tuple[float, int, int], tuple[float, tuple]] = {}
        self._drives: dict[tuple[str, str], _Drive] = {}
        self.kinds = [_Buffer(cell.name, arc.start, arc.end, cell.pins[arc.start].capacitance,
                              self.drive(cell, arc.end))
                      for cell in buffers(library) for arc in cell.arcs[:1]]
        middle = self.kinds[len(self.kinds) // 2].drive if self.kinds else _Drive(0.0, 0.0)
        self.outside = middle               # what drives an input of a module is not known in the module
        self.inputs: dict[str, dict[str, list[float]]] = {}
        self.outputs: dict[str, dict[str, list[_Drive]]] = {}
        self.clocks: dict[str, set[str]] = {}

    def drive(self, cell: Cell, pin: str) -> _Drive:
        """How the output ``pin`` of a cell drives, by the worst of its arcs."""
        if (cell.name, pin) not in self._drives:
            low, high = (max((self._time(arc, load) for arc in cell.arcs if arc.end == pin), default=0.0)
                         for load in self.loads)
            slope = (high - low) / (self.loads[1] - self.loads[0])
            self._drives[cell.name, pin] = _Drive(low - slope * self.loads[0], slope)
        return self._drives[cell.name, pin]

    def _time(self, arc: Arc, load: float) -> float:
        slew = 0.0 if arc.edge else self.slew
        return float(max(delay.at(slew, load) + SLEW_COUNTS * change.at(slew, load)
                         for delay, change in zip(arc.delay, arc.slew)))

    def module(self, netlist: Netlist) -> Netlist:
        """A module with its trees."""
        sinks: dict[int, list[_Sink]] = {}
        drives: dict[int, _Drive] = {}
        clocks: set[int] = set()
        for bits in netlist.inputs.values():
            drives |= {net: self.outside for net in bits}
        for at, placed in enumerate(netlist.cells):
            for pin, bit, net, load, drive, clock in self._pins(placed):
                if clock:
                    clocks.add(net)
                elif drive is not None:
                    drives[net] = drive
                else:
                    sinks.setdefault(net, []).append(_Sink(at, pin, bit, load))
        cells = [_Open(cell) for cell in netlist.cells]
        fresh = count(netlist.nets)
        for net, drive in drives.items():
            if net not in clocks and net >= 0 and len(sinks.get(net, ())) > 0:
                sinks[net] = self._tree(net, drive, sinks[net], cells, fresh)
        self.inputs[netlist.name] = {port: [sum(sink.load for sink in sinks.get(net, ())) for net in bits]
                                     for port, bits in netlist.inputs.items()}
        self.outputs[netlist.name] = {port: [drives.get(net, self.outside) for net in bits]
                                      for port, bits in netlist.outputs.items()}
        self.clocks[netlist.name] = {port for port, bits in netlist.inputs.items() if clocks & set(bits)}
        return Netlist(netlist.name, netlist.inputs, netlist.outputs,
                       tuple(cell.closed() for cell in cells), netlist.names)

    def _pins(self, placed: Placed) -> Iterator[tuple]:
        """Of each pin that is connected: name, bit, net, its load or what drives it, and whether it is a
        clock."""
        if placed.kind in self.inputs:
            loads, drives = self.inputs[placed.kind], self.outputs[placed.kind]
            for pin, bits in placed.pins.items():
                for bit, net in enumerate(bits):
                    if net < 0:
                        continue
                    if pin in drives:
                        yield pin, bit, net, 0.0, drives[pin][bit], False
                    elif pin in loads:
                        yield pin, bit, net, loads[pin][bit], None, pin in self.clocks[placed.kind]
            return
        cell = self.cells[placed.kind]
        for pin, bits in placed.pins.items():
            for bit, net in enumerate(bits):
                known = cell.pins[pin if len(bits) == 1 and pin in cell.pins else f"{pin}[{bit}]"]
                if net < 0:
                    continue
                if known.direction == "input":
                    yield pin, bit, net, known.capacitance, None, known.clock
                else:
                    yield pin, bit, net, 0.0, self.drive(cell, known.name), False

    def _tree(self, net: int, drive: _Drive, sinks: list["_Sink"], cells: list["_Open"], fresh
              ) -> list["_Sink"]:
        """Put buffers between a net and its sinks, a level at a time; gives what the net leads to then."""
        load = sum(sink.load for sink in sinks)
        best, plan = self._plan(drive.slope, _step_of(load), LEVELS)
        if drive.slope * load - best < self.gain:
            return sinks
        for kind, number in plan:
            above = []
            for group in _groups(sinks, min(number, len(sinks))):
                new = next(fresh)
                for sink in group:
                    cells[sink.cell].connect(sink.pin, sink.bit, new)
                above.append(_Sink(len(cells), kind.input, 0, kind.load))
                cells.append(_Open(Placed("", kind.kind, {kind.input: (net,), kind.output: (new,)})))
            sinks = above
        return sinks

    def _plan(self, slope: float, step: int, levels: int) -> tuple[float, tuple[tuple[_Buffer, int], ...]]:
        """ns of the best tree of so many levels at most between a driver and a load, and its levels from
        the sinks on: a kind of buffer and how many of it. No level is the best where none saves time."""
        key = slope, step, levels
        if key not in self._plans:
            load = STEP ** step
            best = slope * load, ()
            for kind in self.kinds if levels else ():
                for number in self._numbers(load, kind):
                    above, plan = self._plan(slope, _step_of(number * kind.load), levels - 1)
                    time = above + kind.drive.fixed + kind.drive.slope * load / number + self.cost * number
                    if time < best[0]:
                        best = time, ((kind, number), *plan)
            self._plans[key] = best
        return self._plans[key]

    @staticmethod
    def _numbers(load: float, kind: _Buffer) -> set[int]:
        """How many buffers of a kind are worth trying: each drives from two to thirty times its input."""
        return {number for fan in (2, 4, 7, 12, 20, 30)
                if (number := int(np.ceil(load / (fan * kind.load)))) * kind.load < load}


@dataclass(frozen=True)
class _Sink:
    """A bit of a pin of the cell at a place in the list, and what it loads."""

    cell: int
    pin: str
    bit: int
    load: float


class _Open:
    """A cell whose connections may still change."""

    def __init__(self, cell: Placed):
        self.cell, self.pins = cell, None

    def connect(self, pin: str, bit: int, net: int) -> None:
        if self.pins is None:
            self.pins = {name: list(bits) for name, bits in self.cell.pins.items()}
        self.pins[pin][bit] = net

    def closed(self) -> Placed:
        if self.pins is None:
            return self.cell
        return Placed(self.cell.name, self.cell.kind,
                      {name: tuple(bits) for name, bits in self.pins.items()})


def _step_of(load: float) -> int:
    """The number of the step that a load is nearest to."""
    return round(np.log(max(load, 1e-3)) / np.log(STEP))


def _groups(sinks: list[_Sink], number: int) -> list[list[_Sink]]:
    """Sinks in at most ``number`` groups of about the same load, in the order they have."""
    ends = np.cumsum([sink.load for sink in sinks])
    group = np.minimum((ends - ends[0] / 2) / ends[-1] * number, number - 1).astype(int)
    return [[sink for sink, at in zip(sinks, group) if at == wanted] for wanted in np.unique(group)]
