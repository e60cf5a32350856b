"""The words of a schedule: a row is one use of the array, and a walk is the order of the rows.

A row is one stream through the array, with the load of the value registers in front of it where
``load`` says so. After a row the innermost loop that has not ended names the next one: groups in
turn, slices of the token dimension, then passes, batches or groups; if all have ended, ``next`` does.
"""

from collections.abc import Generator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import NamedTuple

from model.cta.job import LSH

__all__ = ["Op", "Wait", "Loop", "Row", "Sizes", "Step", "PHASES", "walk"]

PHASES = ("compress", "linear", "attention")
"""Parts of a job whose cycles are told apart. A program says which operation begins each but the
first."""


class Op(IntEnum):
    """What a row streams and where its results go.

    Of the linears either operand stays, as :attr:`model.cta.program.Program.weights_stay` says: in
    Table I the centroids, where Q goes by the shortcut into the value registers. ALPHA forms what fast
    inner products (:class:`Row`) have too much on the side of the centroids.
    """

    HASH = 1     # tokens past A, to the CIM (Table I steps 1 to 3)
    K = 2        # Wk past centroids or centroids past Wk, to the KV memory (step 5)
    V = 3        # the same with Wv (step 6)
    Q = 4        # the same with Wq and query centroids, to the values or to its memory (7, 9)
    SCORE = 5    # K past Q, to the PAG (8, 10)
    OUT = 6      # V from the left, AP from below, into the result registers (11, 13)
    ALPHA = 7    # centroids past zeros: sums of x_a x_b, to their memory


class Wait(IntFlag):
    """What must have happened before a row may start."""

    NONE = 0
    C1 = 1            # all rows of C1 written: residuals can be formed
    CENTROIDS = 2     # CAG has finished and gives its columns back
    PROBABILITY = 4   # AP of the batch is complete
    DRAIN = 8         # the result registers have been emptied
    QUERIES = 16      # Q of the first batch is in its bank
    VALUES = 32       # the first row of V is in its bank, and the others follow


class Loop(IntEnum):
    """Outer loop that a row may close."""

    NONE = 0
    PASS = 1     # hash functions by groups of b
    KEY = 2      # batches of b rows of [C1; C2]
    QUERY = 3    # batches of b rows of C0
    GROUP = 4    # groups of b dimensions of the head


@dataclass(frozen=True)
class Row:
    """One row of a schedule.

    op : What the array does.
    next : The row that follows when all loops have ended; None ends the program.
    lsh : The clustering of a HASH. Of ALPHA, whose rows pass: KEY, those of K and V; QUERY, those of Q.
    wait : What must have happened before.
    load : The value registers are loaded first.
    kept : The load is left out where the LSHs share A and the array holds all of it: the registers
        keep A from the row before.
    slices : The row to which the loop over slices of the token dimension returns.
    loop : The outer loop that the row closes.
    again : The row to which that loop returns.
    previous : The row works on the query batch before the one counted.
    turns : Two groups take their slices in turn where one alone would wait for its partial sums.
    fast : Two slices a, b pass in one, as (x_a + w_b)(x_b + w_a). What this has too much, the sums of
        x_a x_b and of w_a w_b, is taken off where the sum begins (Winograd 1968).
    """

    name: str
    op: Op
    next: str | None
    lsh: LSH | None = None
    wait: Wait = Wait.NONE
    load: bool = False
    kept: bool = False
    slices: str | None = None
    loop: Loop = Loop.NONE
    again: str | None = None
    previous: bool = False
    turns: bool = False
    fast: bool = False

    @property
    def each(self) -> int:
        """Slices that pass at once."""
        return 2 if self.fast else 1


@dataclass(frozen=True)
class Sizes:
    """How often the loops of a job run: slices, passes, batches of keys and of queries, groups of
    dimensions. ``in_turn`` has the operations whose groups go in turn."""

    slices: int = 1
    passes: int = 1
    keys: int = 1
    queries: int = 1
    groups: int = 1
    in_turn: frozenset[Op] = frozenset()


class Step(NamedTuple):
    """A row at work: on slice ``part``, the first of two where the row is fast, in pass ``hpass``, on batch
    number ``batch``, on ``group``,
    which is the ``turn``-th of ``turns`` that go in turn."""

    row: Row
    part: int = 0
    hpass: int = 0
    batch: int = 0
    group: int = 0
    turn: int = 0
    turns: int = 1


def walk(rows: tuple[Row, ...], name: str | None, sizes: Sizes) -> Generator[Step, tuple[Loop, int] | None]:
    """The rows in order from the one called ``name``.

    One counter serves the batches of keys and, after them, those of queries, as in the engine. Who sends
    ``(loop, turns)`` gets the same row so many turns of the loop later: batches, or groups, are left out.
    """
    named = {row.name: row for row in rows}
    part = hpass = batch = group = turn = 0
    while name is not None:
        row = named[name]
        turns = 2 if row.turns and row.op in sizes.in_turn else 1
        while left_out := (yield Step(row, part, hpass, batch - row.previous, group + turn, turn, turns)):
            loop, count = left_out
            batch, group = batch + count * (loop is not Loop.GROUP), group + count * (loop is Loop.GROUP)
        if turn != turns - 1:
            turn += 1
            continue
        turn = 0
        if row.slices is not None and part + row.each < sizes.slices:
            name, part = row.slices, part + row.each
            continue
        if row.slices is not None:
            part = 0
        more = False
        if row.loop is Loop.PASS:
            more = hpass + 1 < sizes.passes
            hpass = hpass + 1 if more else 0
        elif row.loop is Loop.GROUP:
            more = group + turns < sizes.groups
            group = group + turns if more else 0
        elif row.loop is Loop.KEY:
            more = batch + 1 < sizes.keys
            batch = batch + 1 if more else 0
        elif row.loop is Loop.QUERY:
            more = batch + 1 < sizes.queries
            batch += more
        name = row.again if more else row.next
