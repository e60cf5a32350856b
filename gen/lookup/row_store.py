"""RowStore: it keeps codes and scores of tokens between the hash and the gather."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM
from gen.fixed import shape
from gen.lookup.hash import row_layout
from model.lookup.config import LookupConfig
from model.lookup.timing import row_slots

__all__ = ["RowStore"]


class RowStore(wiring.Component):
    """A ring of ``row_slots`` tokens: those of the batch at work, those to come.

    The projection gives the rows of a token in a burst. Here they wait, so that it goes on while
    the gather reads tables. Codes, which addresses need, and scores, which the returning rows need,
    have a memory each, because a whole latency of the table port lies between their reads.

    Timing: a row is taken where ``enable`` is high and a slot is free, and may be read from the
    next cycle on. Codes and scores come the cycle after their address.

    Source: ours.

    Members
    -------
    start : A job begins; the store is empty.
    enable : Rows may be taken.
    rows : Stream of rows. Payload :func:`gen.lookup.hash.row_layout`.
    row_in : A row is taken in this cycle.
    token_in : The row taken is the last of its token.
    free : Tokens that are given up in this cycle.
    code_en : A code is read.
    code_addr : Address of the code read.
    code : Code of a row, one cycle after ``code_en``.
    score_en : A score is read.
    score_addr : Address of the score read.
    score : Score of a row, one cycle after ``score_en``. Format ``cfg.score``.
    """

    module_name = "lookup_row_store"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        address = range(row_slots(cfg) * cfg.h * cfg.entries)
        super().__init__({
            "start": In(1), "enable": In(1), "rows": In(stream.Signature(row_layout(cfg))),
            "row_in": Out(1), "token_in": Out(1), "free": In(range(cfg.batch + 1)),
            "code_en": In(1), "code_addr": In(address), "code": Out(cfg.tau),
            "score_en": In(1), "score_addr": In(address), "score": Out(shape(cfg.score))})

    def elaborate(self, platform):
        m = Module()
        cfg, slots = self.cfg, row_slots(self.cfg)
        depth = slots * cfg.h * cfg.entries
        m.submodules.codes = codes = SRAM(width=cfg.tau, depth=depth)
        m.submodules.scores = scores = SRAM(width=cfg.score.width, depth=depth)
        row = self.rows.payload
        at, stored = Signal(range(depth)), Signal(range(slots + 1))

        m.d.comb += [
            self.rows.ready.eq(self.enable & (stored != slots)),
            self.row_in.eq(self.rows.valid & self.rows.ready),
            self.token_in.eq(self.row_in & row.last)]
        m.d.sync += stored.eq(stored + self.token_in - self.free)
        with m.If(self.row_in):
            m.d.sync += at.eq(Mux(at == depth - 1, 0, at + 1))
        with m.If(self.start):
            m.d.sync += [at.eq(0), stored.eq(0)]
        for sram, value, en, addr, out in (
                (codes, row.code, self.code_en, self.code_addr, self.code),
                (scores, row.score, self.score_en, self.score_addr, self.score)):
            m.d.comb += [sram.w_en.eq(self.row_in), sram.w_addr.eq(at), sram.w_data.eq(value),
                         sram.r_en.eq(en), sram.r_addr.eq(addr), out.eq(sram.r_data)]
        return m
