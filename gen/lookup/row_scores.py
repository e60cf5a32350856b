"""RowScores: it tells the score of the row whose beats come next, and where they are added."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.emit import place
from gen.lookup.gather_accumulate import word_width
from gen.lookup.row_walk import ROWS_IN, RowWalk
from model.lookup.config import LookupConfig

__all__ = ["RowScores"]


class RowScores(wiring.Component):
    """Reads scores a row ahead, in the order in which the addresses went out.

    Tokens of a batch use the two accumulator banks in turn, and so do the tokens of a token-major
    job, each at word 0.

    Timing: ``valid`` and all that is told of the row come from registers, and the score from the
    output of the score memory; ``done`` takes the row. A row a cycle.

    Source: Sec. 5 for the two orders.

    Members
    -------
    start : A job begins.
    order : The job is table-major, else token-major. Stable while it runs.
    tokens : Tokens of the job. Read with ``start``.
    row_in : A row is written to the store.
    token_in : The row written is the last of its token.
    score_en : A score is read from the store.
    score_addr : Address of the score read.
    valid : A row is told of; its score is at the output of the store.
    done : The last beat of that row is taken.
    first : The row told of is the first of its token.
    ends_batch : The row told of is the last of its batch.
    size : Tokens of its batch.
    bank : Accumulator bank of its token.
    word : First word of its token in that bank.
    """

    module_name = "lookup_row_scores"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        self._walk = RowWalk(cfg)
        super().__init__({
            **ROWS_IN,
            "score_en": Out(1), "score_addr": Out(len(self._walk.address)),
            "valid": Out(1), "done": In(1), "first": Out(1), "ends_batch": Out(1),
            "size": Out(range(cfg.batch + 1)), "bank": Out(1), "word": Out(word_width(cfg))})

    def elaborate(self, platform):
        m = Module()
        cfg, walk = self.cfg, self._walk
        m.submodules.walk = place(platform, walk)
        for name in ROWS_IN:
            m.d.comb += getattr(walk, name).eq(getattr(self, name))
        turn = Signal()
        m.d.comb += [walk.step.eq(walk.valid & (~self.valid | self.done)),
                     self.score_en.eq(walk.step), self.score_addr.eq(walk.address)]
        m.d.sync += self.valid.eq(walk.step | (self.valid & ~self.done))
        with m.If(walk.step):
            m.d.sync += [
                self.first.eq(walk.first), self.ends_batch.eq(walk.ends_batch),
                self.size.eq(walk.size), self.bank.eq(walk.token[0] ^ turn),
                self.word.eq((walk.token >> 1) * cfg.row_beats),
                turn.eq(turn ^ (walk.ends_batch & ~self.order))]
        with m.If(self.start):
            m.d.sync += turn.eq(0)
        return m
