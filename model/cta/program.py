"""A program: the schedule of the array as one frozen value, which engine and cycle model are given.

``gen.cta.schedule`` builds a controller that steps through the rows, and ``model.cta.cycles`` prices
the same walk. Another schedule on the same blocks is another value: the configuration has it, its
digest covers it, and the manifest states it.
"""

from dataclasses import MISSING, dataclass, field, fields
from enum import IntEnum
from functools import cached_property

from model.config import require_object, shown
from model.cta.job import LSH, Mode
from model.cta.program_rules import follow, follow_linear, require_structure
from model.cta.schedule import PHASES, Loop, Op, Row, Sizes, Wait, walk
from model.errors import ConfigError

__all__ = ["WORDS", "Program"]

WORDS = {"Table I": "table1", "weight-stationary": "weights",
         "weight-stationary, fast products": "weights"}
"""The words of command lines for the programs that have one, by name. Whether products are fast is a word
of its own."""

MOST_ROWS = 64


@dataclass(frozen=True)
class Program:
    """The order of all work of a job on the array.

    A program that the engine cannot run raises ConfigError: rows that are not there, loops that do
    not end, a clustering left out, an operation before what it needs. It is walked for that in both
    modes, for all small numbers of slices, passes and batches.

    name : What the program is called.
    rows : The rows, in any order.
    entry : The row at which a job of each mode starts, by :class:`model.cta.job.Mode`. One that reuses
        clusters starts at the first K.
    phases : The operation whose first slot begins each of ``PHASES`` but the first.
    linear : The row at which a linear job starts, which is all of Q and nothing else; None where there is
        none, as in all programs whose centroids stay.
    """

    name: str
    rows: tuple[Row, ...] = field(repr=False)
    entry: tuple[str, ...]
    phases: tuple[Op, ...]
    linear: str | None = None

    def __post_init__(self):
        require_structure(self)
        for mode in Mode:
            for slices in (2, 4) if self.fast else (1, 2):
                for passes in (1, 2):
                    for keys in (1, 2, 3):
                        for queries in (1, 2, 3, 4):
                            for groups, in_turn in self._groups():
                                follow(self, mode, Sizes(slices, passes, keys, queries, groups, in_turn))
        if self.linear is not None:
            for slices in (2, 4) if self.fast else (1, 2):
                for groups, in_turn in self._groups():
                    follow_linear(self, Sizes(slices, groups=groups, in_turn=in_turn))

    def _groups(self):
        """Numbers of groups, and whether they go in turn, that make a difference."""
        linears = frozenset((Op.K, Op.V, Op.Q))
        return [(1, frozenset()), (2, frozenset()), (2, linears)] if self.weights_stay else [(1, frozenset())]

    @cached_property
    def weights_stay(self) -> bool:
        """The linears keep weights in the array, and centroids pass; else it is the other way round."""
        return any(row.loop is Loop.GROUP for row in self.rows)

    @cached_property
    def fast(self) -> bool:
        """The linears take fast inner products, two slices at once."""
        return any(row.fast for row in self.rows)

    @cached_property
    def last_linear(self) -> Op:
        """The linear behind which weights are read no more."""
        return next(step.row.op for step in reversed([*self.walk(Mode.EXACT, Sizes())])
                    if step.row.op in (Op.K, Op.V, Op.Q))

    @cached_property
    def reuse_entry(self) -> str:
        """The row at which a job starts whose clusters are those of the one before."""
        return next(row.name for row in self.rows if row.op is Op.K)

    @cached_property
    def linear_reuse_entry(self) -> str | None:
        """The row at which a linear job starts whose rows are those of the one before: behind ALPHA."""
        return self.linear and next(step.row.name for step in walk(self.rows, self.linear, Sizes())
                                    if step.row.op is Op.Q)

    def walk(self, mode: Mode, sizes: Sizes, reuse: bool = False, linear: bool = False):
        """The steps of a job: see :func:`model.cta.schedule.walk`.

        With ``reuse`` the clusters are there already, and what is kept of them. Such a job begins with
        the linears.
        """
        entry = self.linear if linear else self.entry[mode]
        again = self.linear_reuse_entry if linear else self.reuse_entry
        return walk(self.rows, again if reuse else entry, sizes)

    def clusterings(self) -> tuple[LSH, ...]:
        """The clusterings in the order in which CAG averages them, which is that of hashing."""
        return tuple(step.row.lsh for step in self.walk(Mode.CTA, Sizes())
                     if step.row.op is Op.HASH)

    def __str__(self) -> str:
        """The word for it on a command line, or its name."""
        return WORDS.get(self.name, self.name)

    def as_dict(self) -> dict:
        """The program as plain data (JSON), in words; what a row does not set is left out."""
        return {"name": self.name,
                "entry": {mode.name.lower(): self.entry[mode] for mode in Mode}
                | ({} if self.linear is None else {"linear": self.linear}),
                "phases": {name: op.name.lower() for name, op in zip(PHASES[1:], self.phases)},
                "rows": [_row_in_words(row) for row in self.rows]}

    @classmethod
    def from_dict(cls, data) -> "Program":
        """The inverse of :meth:`as_dict`. Raises ConfigError in a line that names the key, its value
        and what is legal."""
        data = require_object("program", data, {f.name for f in fields(cls)})
        for name in ("name", "entry", "phases", "rows"):
            if name not in data:
                raise ConfigError(f"program is without {name}, must be an object with it")
        modes = [mode.name.lower() for mode in Mode]
        entry = require_object("program.entry", data["entry"], {*modes, "linear"})
        phases = require_object("program.phases", data["phases"], set(PHASES[1:]))
        rows = data["rows"]
        if not isinstance(rows, list) or len(rows) > MOST_ROWS:
            raise ConfigError(f"program.rows is {shown(rows)}, must be a list of at most "
                              f"{MOST_ROWS} rows")
        return cls(data["name"], tuple(_row_from_words(at, row) for at, row in enumerate(rows)),
                   tuple(entry.get(mode) for mode in modes),
                   tuple(_member(f"program.phases.{name}", Op, phases.get(name))
                         for name in PHASES[1:]), entry.get("linear"))


_ENUMS = {"op": Op, "lsh": LSH, "loop": Loop}


def _row_in_words(row: Row) -> dict:
    words = {}
    for item in fields(Row):
        value = getattr(row, item.name)
        if item.default is not MISSING and value == item.default:
            continue
        if isinstance(value, Wait):
            value = [one.name.lower() for one in Wait if one and one in value]
        elif isinstance(value, IntEnum):
            value = value.name.lower()
        words[item.name] = value
    return words


def _row_from_words(at: int, data) -> Row:
    where = f"program.rows[{at}]"
    values = dict(require_object(where, data, {f.name for f in fields(Row)}))
    for name in ("name", "op", "next"):
        if name not in values:
            raise ConfigError(f"{where} is without {name}, must be an object with it")
    for name, kind in _ENUMS.items():
        if name in values:
            values[name] = _member(f"{where}.{name}", kind, values[name])
    if "wait" in values:
        events = values["wait"]
        if not isinstance(events, list):
            raise ConfigError(f"{where}.wait is {shown(events)}, must be a list")
        values["wait"] = Wait.NONE
        for event in events:
            values["wait"] |= _member(f"{where}.wait", Wait, event)
    return Row(**values)


def _member(where: str, kind, value):
    """The member of an enumeration that a word names."""
    known = [one.name.lower() for one in kind if one]
    known += [kind(0).name.lower()] if kind is LSH else []
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"{where} is {shown(value)}, must be one of {sorted(known)}")
    return kind[value.upper()]
