"""Standard cells, as mapping and timing see them: what a Liberty library means.

Units here: µm², ns, fF, nW, whatever the library's are.
"""

import re
from dataclasses import dataclass, field

import numpy as np

from synth.liberty import Group, LibertyError

__all__ = ["Arc", "Cell", "Library", "Pin", "Setup", "Table", "cells_of", "inverts"]


@dataclass(frozen=True)
class Table:
    """A delay or a slew over input slew ``x`` (ns) and load ``y`` (fF), or a constraint over two slews.

    Between its points it is bilinear, and beyond them the outermost patch goes on, as in the non-linear
    delay model.
    """

    x: np.ndarray
    y: np.ndarray
    values: np.ndarray

    def at(self, x, y) -> np.ndarray:
        """Values at ``x`` and ``y``, which broadcast."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        i, u = _patch(self.x, x)
        j, v = _patch(self.y, y)
        low = self.values[i, j], self.values[i, np.minimum(j + 1, len(self.y) - 1)]
        up = np.minimum(i + 1, len(self.x) - 1)
        high = self.values[up, j], self.values[up, np.minimum(j + 1, len(self.y) - 1)]
        return (low[0] * (1 - v) + low[1] * v) * (1 - u) + (high[0] * (1 - v) + high[1] * v) * u


def _patch(knots, at):
    """Index of the interval in which ``at`` lies, and the place in it: 0 at its start, 1 at its end."""
    if len(knots) == 1:
        return np.zeros(at.shape, int), np.zeros(at.shape)
    index = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    return index, (at - knots[index]) / (knots[index + 1] - knots[index])


@dataclass(frozen=True)
class Pin:
    """A pin: ``direction`` input or output, ``capacitance`` in fF, ``function`` of an output as text.
    ``edges`` has the capacitance for a rising and for a falling input, where they are known apart."""

    name: str
    direction: str
    capacitance: float = 0.0
    function: str = ""
    clock: bool = False
    edges: tuple[float, float] | None = None

    @property
    def loads(self) -> tuple[float, float]:
        """fF for a rising and for a falling input."""
        return self.edges or (self.capacitance, self.capacitance)


@dataclass(frozen=True)
class Arc:
    """A way from the pin ``start`` to the output ``end``.

    ``sense`` is +1 where a rising input makes a rising output, -1 where a falling one, 0 where both do.
    ``edge`` says that it starts at the rising clock. ``delay`` and ``slew`` have a table for a rising and
    one for a falling output.
    """

    start: str
    end: str
    sense: int
    edge: bool
    delay: tuple[Table, Table]
    slew: tuple[Table, Table]


@dataclass(frozen=True)
class Setup:
    """Set-up time of the data ``pin`` before the rising edge of ``clock``: a table for rising and one for
    falling data, over the slews of clock and data."""

    pin: str
    clock: str
    time: tuple[Table, Table]


@dataclass(frozen=True)
class Cell:
    """A standard cell: ``area`` in µm², ``leakage`` in nW; ``sequential`` is a flip-flop or a latch.

    ``energies`` has, by pin, what the cell takes inside when the pin toggles, in fJ: the mean of a rising and
    a falling edge, without the charge of the net. ``flip_flop`` has, of a flip-flop without clear and
    preset, the names of its state and of the inverse, and what it takes at the rising clock.
    """

    name: str
    area: float
    leakage: float
    sequential: bool
    pins: dict[str, Pin]
    arcs: tuple[Arc, ...] = ()
    setups: tuple[Setup, ...] = ()
    energies: dict[str, float] = field(default_factory=dict)
    flip_flop: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class Library:
    """Cells by name, and the operating point that they were characterised at."""

    name: str
    voltage: float
    temperature: float
    cells: dict[str, Cell] = field(repr=False)


def cells_of(group: Group) -> Library:
    """The cells of a parsed library. Raises :class:`synth.liberty.LibertyError` for units that are none,
    and where there is no flip-flop or no inverter: nothing can be mapped to it."""
    units = _Units(group)
    cells = {cell.name: _cell(cell, units) for cell in group.children("cell")
             if cell.attributes.get("dont_use", "false") != "true"}
    if not any(cell.sequential for cell in cells.values()):
        raise LibertyError(f"library {group.name!r} has no flip-flop, so nothing can be mapped to it")
    if not any(inverts(cell) for cell in cells.values()):
        raise LibertyError(f"library {group.name!r} has no inverter, so nothing can be mapped to it")
    return Library(group.name, group.number("nom_voltage", 0.0), group.number("nom_temperature", 0.0),
                   cells)


def inverts(cell: Cell) -> bool:
    """Whether a cell is an inverter."""
    inputs = [pin for pin in cell.pins.values() if pin.direction == "input"]
    return len(inputs) == 1 and any(
        re.fullmatch(rf"\(*!\(*{re.escape(inputs[0].name)}\)*|\(*{re.escape(inputs[0].name)}'\)*",
                     pin.function.replace(" ", "")) for pin in cell.pins.values())


class _Units:
    """Factors from the units of a library to ns, fF and nW, and its templates of tables."""

    TIME = {"1ps": 1e-3, "10ps": 1e-2, "100ps": 0.1, "1ns": 1.0}
    POWER = {"1pW": 1e-3, "10pW": 1e-2, "100pW": 0.1, "1nW": 1.0, "10nW": 10.0, "100nW": 100.0,
             "1uW": 1e3, "1mW": 1e6}

    def __init__(self, library: Group):
        self.time = self._factor(library, "time_unit", "1ns", self.TIME)
        self.power = self._factor(library, "leakage_power_unit", "1nW", self.POWER)
        text = library.attributes.get("capacitive_load_unit", "1, pf")
        number, _, unit = text.partition(",")
        scale = {"ff": 1.0, "pf": 1e3}.get(unit.strip().lower())
        if scale is None:
            raise LibertyError(f"capacitive_load_unit is {text!r}, must be a number of ff or pf")
        self.load = float(number) * scale
        self.energy = self.load * self._volts(library) ** 2
        self.templates = {template.name: template for template in library.children(
            "lu_table_template", "power_lut_template")}

    @staticmethod
    def _volts(library):
        """Volts of the unit of voltage: an energy is one of capacitance times its square."""
        text = library.attributes.get("voltage_unit", "1V")
        if text not in ("1V", "1mV"):
            raise LibertyError(f"voltage_unit is {text!r}, must be 1V or 1mV")
        return 1.0 if text == "1V" else 1e-3

    @staticmethod
    def _factor(library, name, default, known):
        text = library.attributes.get(name, default)
        if text not in known:
            raise LibertyError(f"{name} is {text!r}, must be one of {', '.join(known)}")
        return known[text]


def _cell(group: Group, units: _Units) -> Cell:
    pins, arcs, setups, energies = {}, [], [], {}
    for pin in group.children("pin"):
        energies[pin.name] = _toggle_energy(pin, units)
        direction = pin.attributes.get("direction", "input")
        load = pin.number("capacitance", 0.0)
        edges = tuple(pin.number(f"{edge}_capacitance", load) * units.load for edge in ("rise", "fall"))
        pins[pin.name] = Pin(pin.name, direction, load * units.load, pin.attributes.get("function", ""),
                             pin.attributes.get("clock", "false") == "true", edges)
        for timing in pin.children("timing"):
            kind = timing.attributes.get("timing_type", "combinational")
            starts = timing.attributes.get("related_pin", "").split()
            if direction == "output" and kind in ("combinational", "rising_edge"):
                tables = [_table(timing, name, units) for name in (
                    "cell_rise", "cell_fall", "rise_transition", "fall_transition")]
                if all(tables):
                    sense = {"positive_unate": 1, "negative_unate": -1}.get(
                        timing.attributes.get("timing_sense", ""), 0)
                    arcs += [Arc(start, pin.name, sense, kind == "rising_edge", tuple(tables[:2]),
                                 tuple(tables[2:])) for start in starts]
            elif kind == "setup_rising":
                tables = [_table(timing, name, units, slews=True)
                          for name in ("rise_constraint", "fall_constraint")]
                if all(tables):
                    setups += [Setup(pin.name, start, tuple(tables)) for start in starts]
    sequential = any(True for _ in group.children("ff", "latch", "ff_bank", "latch_bank"))
    return Cell(group.name, group.number("area"), group.number("cell_leakage_power", 0.0) * units.power,
                sequential, pins, tuple(arcs), tuple(setups), energies, _flip_flop(group))


def _flip_flop(group: Group) -> tuple[str, str, str] | None:
    """State, its inverse and what follows it, of a cell that is a flip-flop of the plainest kind."""
    found = list(group.children("ff"))
    if len(found) != 1 or {"clear", "preset"} & found[0].attributes.keys() or len(found[0].arguments) != 2 \
            or "!" in found[0].attributes.get("clocked_on", "!"):
        return None
    return (*found[0].arguments, found[0].attributes.get("next_state", ""))


def _toggle_energy(pin: Group, units: _Units) -> float:
    """What ``internal_power`` of a pin says of a toggle, in fJ; 0 where it says nothing.

    An edge alone holds the charge of its load with one sign or the other, so the mean of a rising and a
    falling edge is taken, over all conditions and related pins. Of a table that is the value a third of the
    way along its knots: these grow by a factor, so it is where a cell drives a few others.
    """
    found = [float(np.mean([_middle(edge, units) for edge in edges]))
             for power in pin.children("internal_power")
             if (edges := list(power.children("rise_power", "fall_power", "power")))]
    return float(np.mean(found)) * units.energy if found else 0.0


def _middle(table: Group, units: _Units) -> float:
    """The value a third of the way along both indices of a table."""
    template = units.templates.get(table.name, table)
    sizes = [len(table.numbers(index) or template.numbers(index)) or 1 for index in ("index_1", "index_2")]
    values = table.numbers("values")
    if len(values) != sizes[0] * sizes[1]:
        raise LibertyError(f"{table.kind} has {len(values)} values for an index of {sizes[0]} by {sizes[1]}")
    row, column = ((size - 1) // 3 for size in sizes)
    return values[row * sizes[1] + column]


def _table(timing: Group, name: str, units: _Units, slews: bool = False) -> Table | None:
    """A table of a timing group with its index; a scalar is a table of one point."""
    for group in timing.children(name):
        template = units.templates.get(group.name, group)
        x, y = (np.array(group.numbers(index) or template.numbers(index))
                for index in ("index_1", "index_2"))
        values = np.array(group.numbers("values")) * units.time
        if not len(values) or len(values) != max(1, len(x)) * max(1, len(y)):
            raise LibertyError(f"{name} has {len(values)} values for an index of {len(x)} by {len(y)}")
        values = values.reshape(max(1, len(x)), max(1, len(y)))
        # Which variable comes first is the library's choice.
        if template.attributes.get("variable_1", "").startswith(("total_output", "constrained")):
            x, y, values = y, x, values.T
        x = x * units.time if len(x) else np.zeros(1)
        y = y * (units.time if slews else units.load) if len(y) else np.zeros(1)
        return Table(x, y, values)
    return None
