"""Table I of the paper as a program: the schedule that an engine has unless it is given another."""

from model.cta.job import LSH
from model.cta.program import Program
from model.cta.schedule import Loop, Op, Row, Wait

__all__ = ["TABLE_I"]

_OUT = Wait.PROBABILITY | Wait.DRAIN

# LSH1 goes first so that C1 is ready when LSH2 needs it; Q and S of a batch go before O of the
# last one so that the PAG works in their shadow.
TABLE_I = Program("Table I", entry=("hash1", "key"), phases=(Op.K, Op.Q), rows=(
    Row("hash1", Op.HASH, "hash0", lsh=LSH.KEY, load=True, slices="hash1", loop=Loop.PASS,
        again="hash1"),
    Row("hash0", Op.HASH, "hash2", lsh=LSH.QUERY, load=True, kept=True, slices="hash0",
        loop=Loop.PASS, again="hash0"),
    Row("hash2", Op.HASH, "key", lsh=LSH.RESIDUAL, load=True, kept=True, slices="hash2",
        loop=Loop.PASS, again="hash2", wait=Wait.C1),
    Row("key", Op.K, "value", load=True, wait=Wait.CENTROIDS),
    Row("value", Op.V, "query first", slices="key", loop=Loop.KEY, again="key"),
    Row("query first", Op.Q, "score first", load=True, slices="query first"),
    Row("score first", Op.SCORE, "out last", loop=Loop.QUERY, again="query"),
    Row("query", Op.Q, "score", load=True, slices="query"),
    Row("score", Op.SCORE, "out"),
    Row("out", Op.OUT, "out last", wait=_OUT, loop=Loop.QUERY, again="query", previous=True),
    Row("out last", Op.OUT, None, wait=_OUT),
))
"""LSH1, LSH0, LSH2; K and V batch by batch; then Q and S of a batch before O of the one before."""
