"""Delays of many cells at once: the tables of a library, stacked."""

import numpy as np

from synth.cells import Cell, Library, Table, inverts

__all__ = ["Tables", "fan_out_of_four", "smallest_inverter"]


class Tables:
    """Tables under numbers, so that thousands of them are read in one step.

    :meth:`number` gives that of a table; :meth:`at` reads as :meth:`synth.cells.Table.at` does.
    """

    def __init__(self):
        self._numbers: dict[int, int] = {}
        self._tables: list[Table] = []
        self._stack: tuple[np.ndarray, ...] | None = None

    def number(self, table: Table) -> int:
        """The number of a table; the same object gives the same one."""
        if id(table) not in self._numbers:
            self._numbers[id(table)] = len(self._tables)
            self._tables.append(table)
            self._stack = None
        return self._numbers[id(table)]

    def at(self, which: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Values in ns of the tables ``which`` at input slews ``x`` (ns) and loads ``y`` (fF), or at the
        slews of clock and data for a set-up time. All three have one length."""
        if self._stack is None:
            self._stack = self._stacked()
        knots_x, size_x, knots_y, size_y, values = self._stack
        i, up, u = _patch(knots_x[which], size_x[which], x)
        j, right, v = _patch(knots_y[which], size_y[which], y)
        return ((values[which, i, j] * (1 - v) + values[which, i, right] * v) * (1 - u)
                + (values[which, up, j] * (1 - v) + values[which, up, right] * v) * u)

    def _stacked(self) -> tuple[np.ndarray, ...]:
        wide = max((max(len(table.x), len(table.y)) for table in self._tables), default=1)

        def padded(knots):
            return np.append(knots, np.full(wide - len(knots), np.inf))
        values = np.zeros((len(self._tables), wide, wide))
        for at, table in enumerate(self._tables):
            values[at, :len(table.x), :len(table.y)] = table.values
        return (np.array([padded(table.x) for table in self._tables]).reshape(-1, wide),
                np.array([len(table.x) for table in self._tables], int),
                np.array([padded(table.y) for table in self._tables]).reshape(-1, wide),
                np.array([len(table.y) for table in self._tables], int), values)


def _patch(knots, size, at):
    """Indices of the knots around ``at`` and the place between them, a row of ``knots`` each; beyond the
    outer ones the outermost patch goes on."""
    low = np.clip((at[:, None] >= knots).sum(1) - 1, 0, np.maximum(size - 2, 0))
    high = np.minimum(low + 1, size - 1)
    rows = np.arange(len(at))
    start, end = knots[rows, low], knots[rows, high]
    with np.errstate(invalid="ignore"):
        part = np.where(high > low, (at - start) / np.where(high > low, end - start, 1.0), 0.0)
    return low, high, part


def smallest_inverter(library: Library) -> Cell:
    """The inverter of least area, and of those the one with the least to drive. A library without one is
    none: :func:`synth.cells.cells_of` refuses it."""
    return min((cell for cell in library.cells.values() if inverts(cell) and cell.arcs),
               key=lambda cell: (cell.area, cell.pins[cell.arcs[0].start].capacitance, cell.name))


def fan_out_of_four(library: Library) -> float:
    """Delay in ns of the smallest inverter that drives four of itself, with the slew that a chain of such
    inverters settles at: the mean of a rising and a falling output. The usual unit of delay of a
    technology."""
    inverter = smallest_inverter(library)
    arc = inverter.arcs[0]
    load = 4 * inverter.pins[arc.start].capacitance
    slew = [0.0, 0.0]
    for _ in range(50):                         # it settles within a few
        slew = [float(arc.slew[0].at(slew[1], load)), float(arc.slew[1].at(slew[0], load))]
    return float(arc.delay[0].at(slew[1], load) + arc.delay[1].at(slew[0], load)) / 2
