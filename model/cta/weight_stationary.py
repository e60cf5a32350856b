"""The weight-stationary programs: weights stay in the array, centroids pass, and Q is kept."""

from dataclasses import replace

from model.cta.job import LSH
from model.cta.program import Program
from model.cta.schedule import Loop, Op, Row, Wait
from model.cta.table1 import TABLE_I

__all__ = ["FAST_PRODUCTS", "WEIGHT_STATIONARY"]

_OUT = Wait.PROBABILITY | Wait.DRAIN | Wait.VALUES


def _linear(op: Op, then: str | None, wait: Wait = Wait.NONE, name: str = "") -> Row:
    """All groups of a linear: b dimensions of the head a group, a slice of the weights a load."""
    name = name or op.name.lower()
    return Row(name, op, then, load=True, wait=wait, slices=name, loop=Loop.GROUP, again=name, turns=True)


# The clusterings are those of Table I.
WEIGHT_STATIONARY = Program(
    "weight-stationary", entry=("hash1", "k"), phases=(Op.K, Op.SCORE), rows=(
        *(replace(row, next="k") if row.lsh is LSH.RESIDUAL else row
          for row in TABLE_I.rows if row.op is Op.HASH),
        _linear(Op.K, "q", Wait.CENTROIDS),
        _linear(Op.Q, "score first"),
        Row("score first", Op.SCORE, "v alone", load=True, wait=Wait.QUERIES, loop=Loop.QUERY,
            again="score second"),
        Row("score second", Op.SCORE, "v", load=True, wait=Wait.QUERIES),
        _linear(Op.V, "out"),
        _linear(Op.V, "out last", name="v alone"),
        Row("score", Op.SCORE, "out", load=True, wait=Wait.QUERIES),
        Row("out", Op.OUT, "out last", wait=_OUT, loop=Loop.QUERY, again="score", previous=True),
        Row("out last", Op.OUT, None, wait=_OUT),
        _linear(Op.Q, None, name="q alone"),
    ), linear="q alone")
"""LSH1, LSH0, LSH2; all of K and of Q; S of two batches, in whose shadow with V PAG works on the first;
then S of a batch before O of the one before. A linear job is Q alone."""

_ALPHAS = (
    Row("alpha keys", Op.ALPHA, "alpha queries", lsh=LSH.KEY, load=True, wait=Wait.CENTROIDS,
        slices="alpha keys", fast=True),
    Row("alpha queries", Op.ALPHA, "k", lsh=LSH.QUERY, load=True, wait=Wait.CENTROIDS,
        slices="alpha queries", fast=True))

_ALPHA_ALONE = Row("alpha alone", Op.ALPHA, "q alone", lsh=LSH.QUERY, load=True, wait=Wait.CENTROIDS,
                   slices="alpha alone", fast=True)

FAST_PRODUCTS = Program(
    "weight-stationary, fast products", entry=("hash1", "alpha keys"), phases=(Op.K, Op.SCORE),
    rows=tuple(row for before in WEIGHT_STATIONARY.rows for row in (
        *(_ALPHAS if before.name == "k" else (_ALPHA_ALONE,) if before.name == "q alone" else ()),
        replace(before, next="alpha keys") if before.lsh is LSH.RESIDUAL else
        replace(before, fast=before.op in (Op.K, Op.V, Op.Q)))), linear="alpha alone")
"""The same with fast inner products in the linears, two slices at once, and so for an even number of
slices."""
