"""Static timing: the latest arrival at every net, and the worst path into every block.

Late paths from register to register over one clock that is ideal: it comes everywhere at once, with no slew
and no uncertainty. Wires have neither resistance nor capacitance. A net has one slew and one arrival for
each edge, the worst of all that drives it, as in other analysers that go by the graph; arcs of a cell that
depend on its other inputs all count. What comes from the ports of the top or goes to them is not timed.

    graph = graph_of(netlists, names, cells)
    for path in worst_paths(graph, arrivals(graph), period=1.0):
        print(path.block, path.slack)
"""

from dataclasses import dataclass

import numpy as np

from model.errors import ConfigError
from synth.hierarchy import Graph

__all__ = ["Arrivals", "LoopError", "TimingPath", "Step", "arrivals", "worst_paths"]


class LoopError(ConfigError):
    """Cells that lead back to themselves without a register; the message names them."""


@dataclass(frozen=True)
class Arrivals:
    """``time`` and ``slew`` in ns a node, -inf where no path comes to; ``via`` the row of the arcs
    that the latest came by, -1 where a path starts."""

    time: np.ndarray
    slew: np.ndarray
    via: np.ndarray


@dataclass(frozen=True)
class Step:
    """A cell on a path: its ``kind``, its ``name`` after the instances it is in, whether its output
    ``rises``, and the ``delay`` in ns through it."""

    kind: str
    name: str
    rises: bool
    delay: float


@dataclass(frozen=True)
class TimingPath:
    """The worst path into a ``block``, which is the module of its end.

    ``slack`` and ``setup`` are in ns; ``steps`` are the cells on the way, the first of which starts it;
    ``end`` is the name of the register or memory at its end and ``end_kind`` its kind.
    """

    block: str
    slack: float
    setup: float
    steps: tuple[Step, ...]
    end: str
    end_kind: str

    @property
    def start(self) -> str:
        """Where it starts."""
        return self.steps[0].name

    @property
    def start_kind(self) -> str:
        """The kind of the cell that it starts at."""
        return self.steps[0].kind

    @property
    def delay(self) -> float:
        """ns from the clock to the end, without the set-up time."""
        return sum(step.delay for step in self.steps)


def arrivals(graph: Graph) -> Arrivals:
    """The latest arrivals. Raises :class:`LoopError`."""
    nodes, load = len(graph.load), graph.load
    time, slew, via = np.full(nodes, -np.inf), np.zeros(nodes), np.full(nodes, -1)
    start = graph.starts[:, 0]
    still = np.zeros(len(start))
    np.maximum.at(time, start, graph.tables.at(graph.starts[:, 1], still, load[start]))
    np.maximum.at(slew, start, graph.tables.at(graph.starts[:, 2], still, load[start]))
    for rows in _levels(graph, nodes):
        from_, to, delay, change, _ = graph.arcs[rows].T
        later = time[from_] + graph.tables.at(delay, slew[from_], load[to])
        slower = graph.tables.at(change, slew[from_], load[to])
        first = np.flatnonzero(np.append(True, to[1:] != to[:-1]))
        heads = to[first]
        latest = np.maximum.reduceat(later, first)
        slew[heads] = np.maximum(slew[heads], np.maximum.reduceat(slower, first))
        late = latest > time[heads]         # a way from a port of the top has a slew and no arrival
        time[heads[late]] = latest[late]
        best = np.flatnonzero(later >= np.repeat(latest, np.diff(np.append(first, len(to)))))
        at = dict(zip(to[best].tolist(), rows[best].tolist()))
        chosen = heads[late]
        via[chosen] = [at[node] for node in chosen.tolist()]
    return Arrivals(time, slew, via)


def _levels(graph: Graph, nodes: int) -> list[np.ndarray]:
    """Rows of the arcs in groups: one that leads from a node comes after all that lead to it, and within a
    group they stand by the node they lead to."""
    from_, to = graph.arcs[:, 0], graph.arcs[:, 1]
    waiting = np.bincount(to, minlength=nodes)
    leaving = np.argsort(from_, kind="stable")
    begin = np.searchsorted(from_[leaving], np.arange(nodes + 1))
    level = np.zeros(nodes, int)
    ready, depth, done = np.flatnonzero(waiting == 0), 0, 0
    while len(ready):
        done += len(ready)
        level[ready] = depth
        count = begin[ready + 1] - begin[ready]
        offsets = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        after = to[leaving[np.repeat(begin[ready], count) + offsets]]
        np.subtract.at(waiting, after, 1)
        after = np.unique(after)
        ready, depth = after[waiting[after] == 0], depth + 1
    if done < nodes:
        raise LoopError(f"combinational loop through {', '.join(_loop(graph, waiting))}")
    order = np.lexsort((to, level[to]))
    cuts = np.flatnonzero(np.diff(level[to][order])) + 1
    return [rows for rows in np.split(order, cuts) if len(rows)]


def _loop(graph: Graph, waiting: np.ndarray) -> list[str]:
    """Cells of one loop, at most eight of them."""
    before = {}
    for row, (from_, to, *_) in enumerate(graph.arcs.tolist()):
        if waiting[from_] > 0 and waiting[to] > 0:
            before[to] = (from_, row)
    node, seen = next(iter(before)), []
    while node not in seen:                     # against the arcs, until it comes around
        seen.append(node)
        node = before[node][0]
    names = []
    for at in seen[seen.index(node):]:
        leaf = graph.cell(int(graph.arcs[before[at][1], 4]))
        if (name := f"{leaf.name} ({leaf.kind})") not in names:
            names.append(name)
    return names[:8]


def worst_paths(graph: Graph, found: Arrivals, period: float, scale: float = 1.0) -> list[TimingPath]:
    """The worst path into each block, the worst first.

    ``period`` is that of the clock in ns; times of the graph count ``scale`` times, as do those of the paths.
    """
    node, table = graph.ends[:, 0], graph.ends[:, 1]
    setup = graph.tables.at(table, np.zeros(len(node)), found.slew[node])
    slack = period - scale * (found.time[node] + setup)
    starts = dict(zip(graph.starts[:, 0].tolist(), graph.starts[:, -1].tolist()))
    blocks = graph.modules(graph.ends[:, -1])
    paths = []
    for block in np.unique(blocks):
        row = int(np.where(blocks == block, slack, np.inf).argmin())
        if blocks[row] == block and np.isfinite(slack[row]):
            end = graph.cell(int(graph.ends[row, -1]))
            paths.append(TimingPath(str(block), float(slack[row]), float(scale * setup[row]),
                                    _steps(graph, found, int(node[row]), starts, scale), end.name, end.kind))
    return sorted(paths, key=lambda path: path.slack)


def _steps(graph: Graph, found: Arrivals, node: int, starts: dict[int, int], scale: float
           ) -> tuple[Step, ...]:
    """The cells on the latest way to a node."""
    steps = []
    while True:
        row = int(found.via[node])
        leaf = graph.cell(starts[node] if row < 0 else int(graph.arcs[row, 4]))
        before = 0.0 if row < 0 else found.time[graph.arcs[row, 0]]
        steps.append(Step(leaf.kind, leaf.name, node % 2 == 0, float(scale * (found.time[node] - before))))
        if row < 0:
            return tuple(reversed(steps))
        node = int(graph.arcs[row, 0])
