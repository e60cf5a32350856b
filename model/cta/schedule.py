"""The words of a schedule: a row is one use of the array, and a walk is the order of the rows.

A row is one stream through the array, with the load of the value registers in front of it where
``load`` says so. After a row the innermost loop that has not ended names the next one: slices of
the token dimension, then passes or batches; if all have ended, ``next`` does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from model.cta.job import LSH

__all__ = ["Op", "Wait", "Loop", "Row", "Step", "PHASES", "walk"]

PHASES = ("compress", "linear", "attention")
"""Parts of a job whose cycles are told apart. A program says which operation begins each but the
first."""


class Op(IntEnum):
    """What a row streams and where its results go."""

    HASH = 1     # tokens past A, to the CIM (Table I steps 1 to 3)
    K = 2        # Wk past centroids, to the KV memory (step 5)
    V = 3        # Wv past the same centroids (step 6)
    Q = 4        # Wq past query centroids, by the shortcut into the value registers (7, 9)
    SCORE = 5    # K past Q, to the PAG (8, 10)
    OUT = 6      # V from the left, AP from below, into the result registers (11, 13)


class Wait(IntFlag):
    """What must have happened before a row may start."""

    NONE = 0
    C1 = 1            # all rows of C1 written: residuals can be formed
    CENTROIDS = 2     # CAG has finished and gives its columns back
    PROBABILITY = 4   # AP of the batch is complete
    DRAIN = 8         # the result registers have been emptied


class Loop(IntEnum):
    """Outer loop that a row may close."""

    NONE = 0
    PASS = 1     # hash functions by groups of b
    KEY = 2      # batches of b rows of [C1; C2]
    QUERY = 3    # batches of b rows of C0


@dataclass(frozen=True)
class Row:
    """One row of a schedule.

    op : What the array does.
    next : The row that follows when all loops have ended; None ends the program.
    lsh : The clustering of a HASH.
    wait : What must have happened before.
    load : The value registers are loaded first.
    kept : The load is left out where the LSHs share A and the array holds all of it: the registers
        keep A from the row before.
    slices : The row to which the loop over slices of the token dimension returns.
    loop : The outer loop that the row closes.
    again : The row to which that loop returns.
    previous : The row works on the query batch before the one counted.
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


@dataclass(frozen=True)
class Step:
    """A row at work: on slice ``part``, in pass ``hpass``, on batch number ``batch``."""

    row: Row
    part: int
    hpass: int
    batch: int


def walk(rows: tuple[Row, ...], name: str | None, slices: int, passes: int, keys: int,
         queries: int) -> Iterator[Step]:
    """The rows in order from the one called ``name``, for so many slices, passes and batches.

    One counter serves the batches of keys and, after them, those of queries, as in the engine.
    """
    named = {row.name: row for row in rows}
    counts = {Loop.NONE: 0, Loop.PASS: passes, Loop.KEY: keys, Loop.QUERY: queries}
    part = hpass = batch = 0
    while name is not None:
        row = named[name]
        yield Step(row, part, hpass, batch - row.previous)
        if row.slices is not None and part != slices - 1:
            name, part = row.slices, part + 1
            continue
        if row.slices is not None:
            part = 0
        more = (hpass if row.loop is Loop.PASS else batch) + 1 < counts[row.loop]
        if row.loop is Loop.PASS:
            hpass = hpass + 1 if more else 0
        elif more:
            batch += 1
        elif row.loop is Loop.KEY:
            batch = 0
        name = row.again if more else row.next
