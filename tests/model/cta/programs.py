"""Other legal programs than Table I, for the tests."""

import dataclasses
from itertools import permutations

from model.cta.job import LSH
from model.cta.program import Program
from model.cta.schedule import Loop, Op, Row, Wait
from model.cta.table1 import TABLE_I

ORDERS = [order for order in permutations(LSH) if order.index(LSH.KEY) < order.index(LSH.RESIDUAL)]
"""Orders of the clusterings that the engine can run: residuals need C1."""

OUT = Wait.PROBABILITY | Wait.DRAIN


def batch_by_batch(rows):
    """Q, S and O of a batch, then those of the next: PAG works while the array waits."""
    kept = [row for row in rows if row.op not in (Op.Q, Op.SCORE, Op.OUT)]
    return (*(dataclasses.replace(row, next="query") if row.op is Op.V else row for row in kept),
            Row("query", Op.Q, "score", load=True, slices="query"),
            Row("score", Op.SCORE, "out"),
            Row("out", Op.OUT, None, wait=OUT, loop=Loop.QUERY, again="query"))


def program(order=tuple(LSH), overlap=True, phases=TABLE_I.phases, rename=str):
    """A program with another order of clusterings, or O next to its scores; ``rename`` makes its names."""
    rows = {row.lsh: row for row in TABLE_I.rows if row.op is Op.HASH}
    hashes = [dataclasses.replace(rows[lsh], kept=at > 0,
                                  next=rows[order[at + 1]].name if at < 2 else "key")
              for at, lsh in enumerate(order)]
    rest = tuple(row for row in TABLE_I.rows if row.op is not Op.HASH)
    if not overlap:
        rest = batch_by_batch(rest)
    named = [dataclasses.replace(row, **{key: value and rename(value) for key in
                                         ("name", "next", "slices", "again")
                                         for value in [getattr(row, key)]})
             for row in (*hashes, *rest)]
    return Program("permuted", tuple(named), (rename(hashes[0].name), rename("key")), phases)
