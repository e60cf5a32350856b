"""The schedule of the array as data: Table I of the paper, one row a use of the SA.

``gen.cta.schedule`` builds a controller that steps through a program of :class:`Row`; the cycle
model (``model.cta.cycles``) interprets the same rows. Another schedule on the same blocks is
another table.

A row is one stream through the array, with the load of the value registers in front of it where
``load`` says so. After a row the innermost loop that has not ended names the next one: slices of
the token dimension, then passes or batches; if all have ended, ``next`` does.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from model.cta.job import LSH, Mode

__all__ = ["Op", "Wait", "Loop", "Row", "PROGRAM", "ENTRY", "LINEAR",
           "CLUSTERINGS", "REUSED"]


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
    """One row of a schedule; ``slices`` and ``again`` are the rows that the loops return to."""

    op: Op
    next: str | None
    lsh: int = 0
    wait: Wait = Wait.NONE
    load: bool = False
    slices: str | None = None
    loop: Loop = Loop.NONE
    again: str | None = None
    previous: bool = False    # works on the query batch before the one counted


_OUT = Wait.PROBABILITY | Wait.DRAIN

# LSH1 goes first so that C1 is ready when LSH2 needs it; Q and S of a batch go before O of the
# last one so that the PAG works in their shadow.
PROGRAM: dict[str, Row] = {
    "hash1": Row(Op.HASH, "hash0", lsh=LSH.KEY, load=True, slices="hash1", loop=Loop.PASS,
                 again="hash1"),
    "hash0": Row(Op.HASH, "hash2", lsh=LSH.QUERY, load=True, slices="hash0", loop=Loop.PASS,
                 again="hash0"),
    "hash2": Row(Op.HASH, "key", lsh=LSH.RESIDUAL, load=True, slices="hash2", loop=Loop.PASS,
                 again="hash2",
                 wait=Wait.C1),
    "key": Row(Op.K, "value", load=True, wait=Wait.CENTROIDS),
    "value": Row(Op.V, "query first", slices="key", loop=Loop.KEY, again="key"),
    "query first": Row(Op.Q, "score first", load=True, slices="query first"),
    "score first": Row(Op.SCORE, "out last", loop=Loop.QUERY, again="query"),
    "query": Row(Op.Q, "score", load=True, slices="query"),
    "score": Row(Op.SCORE, "out"),
    "out": Row(Op.OUT, "out last", wait=_OUT, loop=Loop.QUERY, again="query", previous=True),
    "out last": Row(Op.OUT, None, wait=_OUT),
}

LINEAR = (Op.Q, Op.K, Op.V)
"""The linears in the order in which a weight bank has their matrices; those of the LSHs follow."""

CLUSTERINGS = tuple(row.lsh for row in PROGRAM.values() if row.op is Op.HASH)
"""LSHs in the order in which the program hashes and so CAG averages. Exact mode leaves at LSH0."""

ENTRY: dict[Mode, str] = {Mode.CTA: "hash1", Mode.EXACT: "key"}
"""The first row of a job that makes its clusters."""

REUSED = "key"
"""The first row of a job that has those of the job before."""
