"""The timing graph of a whole design, out of its modules.

A node is a net and an edge: ``2 * net`` rises, ``2 * net + 1`` falls. A module is compiled once, to arrays
over its own nets; each instance of it takes those arrays with nets and cells numbered anew, so that the
whole of an engine is a million nets and a few arrays.
"""

from dataclasses import dataclass, field

import numpy as np

from model.errors import ConfigError
from synth.cells import Cell
from synth.delays import Tables
from synth.netlist import CONSTANT, Netlist

__all__ = ["Graph", "Leaf", "graph_of"]


@dataclass(frozen=True)
class Leaf:
    """A cell in the graph: its ``kind``, its ``module``, and its ``name`` after the instances it is in."""

    kind: str
    module: str
    name: str


@dataclass
class Graph:
    """Arrays of a design.

    ``load`` in fF a node. ``arcs``, ``starts`` and ``ends`` are integer arrays with a row each: an arc has
    the nodes it leads from and to, its tables of delay and slew, and its cell; a start the node, the tables
    and the cell; an end the node, the table of set-up and the cell. ``cell(number)`` says which cell that
    is.
    """

    load: np.ndarray
    arcs: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    tables: Tables
    _places: list[tuple[int, str, "_Part"]] = field(repr=False, default_factory=list)

    def cell(self, number: int) -> Leaf:
        """The cell of a number."""
        first, path, part = self._places[int(self._place(number))]
        kind, name = part.leaves[number - first]
        return Leaf(kind, part.name, f"{path}{name}")

    def modules(self, numbers: np.ndarray) -> np.ndarray:
        """The names of the modules that cells are in."""
        return np.array([part.name for *_, part in self._places])[self._place(numbers)]

    def _place(self, numbers):
        # A module without cells has the number of the next one: the last of them has the cell.
        return np.searchsorted([first for first, *_ in self._places], numbers, side="right") - 1


class _Part:
    """A module compiled: arrays over its own nets, and the instances of modules in it."""

    def __init__(self, netlist: Netlist, cells: dict[str, Cell], parts: dict[str, "_Part"],
                 tables: Tables, static: tuple[str, ...]):
        self.name, self.leaves, self.children = netlist.name, [], []
        same = _Same(netlist.nets)
        for cell in netlist.cells:
            if cell.kind in parts:
                parts[cell.kind].join(cell.pins, same)
            elif cell.kind not in cells:
                raise ConfigError(f"module {netlist.name}: the library has no cell {cell.kind}")
        self.root = root = same.roots()
        self.ports = {port: root[list(bits)] if bits else np.zeros(0, int)
                      for port, bits in (netlist.inputs | netlist.outputs).items()}
        for bits, given in zip(self.ports.values(), (netlist.inputs | netlist.outputs).values()):
            bits[np.array(given, int) < 0] = CONSTANT
        self.labels = {int(root[net]): name for net, name in reversed(netlist.names.items())}
        self.nets = netlist.nets
        loads, arcs, starts, ends = [], [], [], []
        for cell in netlist.cells:
            if cell.kind in parts:
                self.children.append((cell.name or "_", parts[cell.kind], {
                    port: np.array([root[net] if net >= 0 else CONSTANT for net in bits])
                    for port, bits in cell.pins.items()}))
                continue
            kind, leaf = cells[cell.kind], len(self.leaves)
            pins = {pin if len(bits) == 1 and pin in kind.pins else f"{pin}[{at}]":
                    int(root[bit]) if bit >= 0 else CONSTANT
                    for pin, bits in cell.pins.items() for at, bit in enumerate(bits)}
            drives = [pins[p.name] for p in kind.pins.values()
                      if p.direction == "output" and pins.get(p.name, CONSTANT) >= 0]
            self.leaves.append((cell.kind, cell.name or next(
                (self.labels[net] for net in drives if net in self.labels), "_")))
            loads += [(net, *kind.pins[pin].loads) for pin, net in pins.items()
                      if net >= 0 and kind.pins[pin].direction == "input"]
            _compile(kind, pins, leaf, tables, arcs, starts, ends)
        self.loads = np.array(loads).reshape(-1, 3)
        self.ends = np.array(ends, np.int32).reshape(-1, 3)
        self.arcs = np.array(arcs, np.int32).reshape(-1, 5)
        self.starts = np.array(starts, np.int32).reshape(-1, 4)
        self.static = {port for port in netlist.inputs if _among(port, static)}

    def join(self, pins, same: "_Same") -> None:
        """Nets of a parent are one where a port of the child goes straight through to another."""
        first: dict[int, int] = {}
        for port, bits in pins.items():
            for net, mine in zip(bits, self.ports[port]):
                if net >= 0 and mine >= 0:
                    same.unite(first.setdefault(int(mine), net), net)


def _compile(kind: Cell, pins: dict[str, int], leaf: int, tables: Tables, arcs, starts, ends) -> None:
    """Append the arcs, starts and ends of a cell."""
    for arc in kind.arcs:
        from_, to = pins.get(arc.start, CONSTANT), pins.get(arc.end, CONSTANT)
        if to < 0 or (from_ < 0 and not arc.edge):
            continue
        for fall, (delay, slew) in enumerate(zip(arc.delay, arc.slew)):
            numbers = tables.number(delay), tables.number(slew)
            if arc.edge:
                starts.append((2 * to + fall, *numbers, leaf))
                continue
            edges = {1: (fall,), -1: (1 - fall,), 0: (0, 1)}[arc.sense]
            arcs += [(2 * from_ + edge, 2 * to + fall, *numbers, leaf) for edge in edges]
    for setup in kind.setups:
        if pins.get(setup.pin, CONSTANT) >= 0:
            ends += [(2 * pins[setup.pin] + fall, tables.number(time), leaf)
                     for fall, time in enumerate(setup.time)]


def _among(port: str, names: tuple[str, ...]) -> bool:
    """Whether a port is one of these, or a field of one."""
    return any(port == name or port.startswith(f"{name}__") for name in names)


class _Same:
    """Nets that are one."""

    def __init__(self, nets: int):
        self.parent = list(range(nets))

    def find(self, net: int) -> int:
        while self.parent[net] != net:
            self.parent[net] = self.parent[self.parent[net]]
            net = self.parent[net]
        return net

    def unite(self, one: int, other: int) -> None:
        one, other = self.find(one), self.find(other)
        self.parent[max(one, other)] = min(one, other)

    def roots(self) -> np.ndarray:
        return np.array([self.find(net) for net in range(len(self.parent))], int)


class _Layout:
    """Lays instances out, one after the other."""

    def __init__(self):
        self.nets, self.leaves = 0, 0
        self.places: list[tuple[int, str, _Part]] = []
        self.cuts: list[tuple[np.ndarray, np.ndarray]] = []
        self.rows: dict[str, list[np.ndarray]] = {"loads": [], "arcs": [], "starts": [], "ends": []}

    def add(self, part: _Part, path: str, given: dict[str, np.ndarray]) -> None:
        """Lay out an instance whose ports are the nets ``given``, and all below it."""
        nets = np.full(part.nets + 1, CONSTANT)             # the last stands for what is tied
        cut = []
        for port, outside in given.items():
            here = (part.ports[port] >= 0) & (outside >= 0)
            if port in part.static:
                cut.append((part.ports[port][here], outside[here]))
            else:
                nets[part.ports[port][here]] = outside[here]
        fresh = (nets[:-1] < 0) & (part.root == np.arange(part.nets))
        nets[:-1][fresh] = self.nets + np.arange(fresh.sum())
        self.nets += int(fresh.sum())
        self.cuts += [(nets[inside], outside) for inside, outside in cut]
        self.places.append((self.leaves, path, part))
        self.rows["loads"].append(np.column_stack([nets[part.loads[:, 0].astype(int)], part.loads[:, 1:]]))
        for what, nodes in (("arcs", 2), ("starts", 1), ("ends", 1)):
            rows = getattr(part, what).copy()
            rows[:, :nodes] = 2 * nets[rows[:, :nodes] >> 1] + (rows[:, :nodes] & 1)
            rows[:, -1] += self.leaves
            self.rows[what].append(rows)
        self.leaves += len(part.leaves)
        for name, child, pins in part.children:
            self.add(child, f"{path}{name}.", {port: nets[bits] for port, bits in pins.items()})


def graph_of(netlists: dict[str, Netlist], names: list[str], cells: dict[str, Cell],
             static: dict[str, tuple[str, ...]] | None = None) -> Graph:
    """The graph of the design whose modules are ``names``, children before parents, the top last.

    ``cells`` has the cells of the library and the memories, whose pins are ``r_data[3]`` and the like. Inputs
    of a module that ``static`` names do not change while it looks at them, so no path goes in by them.
    Raises ConfigError for a cell that is missing.
    """
    tables, parts = Tables(), {}
    for name in names:
        parts[name] = _Part(netlists[name], cells, parts, tables, (static or {}).get(name, ()))
    layout = _Layout()
    layout.add(parts[names[-1]], "", {})
    rows = {what: np.concatenate(found) for what, found in layout.rows.items()}
    net, loads = rows["loads"][:, 0].astype(int), rows["loads"][:, 1:]
    load = np.stack([np.bincount(net, weights=edge, minlength=layout.nets) for edge in loads.T], axis=1)
    for inside, outside in reversed(layout.cuts):         # what is cut off still loads what drives it
        np.add.at(load, outside, load[inside])
    return Graph(load.reshape(-1), rows["arcs"], rows["starts"], rows["ends"], tables, layout.places)
