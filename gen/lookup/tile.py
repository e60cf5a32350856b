"""Tile: it keeps one table at a time near the lanes, for all tokens of a batch."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM
from gen.lookup.row_walk import batch_size
from gen.lookup.table_address import table_beats
from model.lookup.config import LookupConfig

__all__ = ["Tile"]


class Tile(wiring.Component):
    """Two tables in SRAM: one serves the tokens of a batch while the next is read from the port.

    In a table-major job every table is read once a batch, front to back, so the requests are a
    count. ``read`` addresses either half; it waits until the half at work is full.

    Timing: a beat read is offered (``beat``) in the next cycle, one a cycle.

    Source: the "opt1" of the paper's CPU kernel (Sec. 5), which walks one table for many tokens
    because it stays in the cache.

    Members
    -------
    start : A job begins.
    order : The job is table-major; else the tile rests.
    tokens : Tokens of the job. Read with ``start``.
    fill : Stream of beat numbers for the table port.
    come : The table port delivers a beat.
    data : Beat that the table port delivers: ``lanes`` entries of 8 bits, signed, the first lowest.
    read : Stream of beat numbers in the two halves.
    ends_table : The half at work is given up.
    beat : Stream of the beats read, in order.
    """

    module_name = "lookup_tile"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        super().__init__({
            "start": In(1), "order": In(1), "tokens": In(16),
            "fill": Out(stream.Signature(cfg.address_width)),
            "come": In(1), "data": In(8 * cfg.lanes),
            "read": In(stream.Signature(range(2 * table_beats(cfg)))), "ends_table": In(1),
            "beat": Out(stream.Signature(8 * cfg.lanes))})

    def elaborate(self, platform):
        m = Module()
        cfg, size = self.cfg, table_beats(self.cfg)
        m.submodules.words = words = SRAM(width=8 * cfg.lanes, depth=2 * size)
        left, some, table = Signal(16), Signal(), Signal(range(max(2, cfg.h)))      # tokens left, whether any
        beat, write = Signal(range(size)), Signal(range(2 * size))
        asked, full = Signal(range(3)), Signal(range(3))    # halves, as long as they are not done
        now_asked, room = Signal(range(3)), Signal()        # room for another: what decides is one bit
        done, all_asked, all_come = Signal(), Signal(), Signal()
        m.d.comb += done.eq(self.ends_table & self.order)

        # Requests.
        m.d.comb += [self.fill.valid.eq(some & room),
                     all_asked.eq(self.fill.valid & self.fill.ready & (beat == size - 1))]
        with m.If(self.fill.valid & self.fill.ready):
            m.d.sync += [beat.eq(Mux(all_asked, 0, beat + 1)),
                         self.fill.payload.eq(self.fill.payload + 1)]
        with m.If(all_asked):
            m.d.sync += table.eq(table + 1)
            with m.If(table == cfg.h - 1):
                m.d.sync += [table.eq(0), self.fill.payload.eq(0),
                             left.eq(left - batch_size(cfg, 1, left)), some.eq(left > cfg.batch)]

        # What has come.
        m.d.comb += [
            words.w_en.eq(self.come), words.w_addr.eq(write), words.w_data.eq(self.data),
            all_come.eq(self.come & ((write == size - 1) | (write == 2 * size - 1)))]
        with m.If(self.come):
            m.d.sync += write.eq(Mux(write == 2 * size - 1, 0, write + 1))
        m.d.comb += now_asked.eq(asked + all_asked - done)
        m.d.sync += [asked.eq(now_asked), room.eq(now_asked != 2), full.eq(full + all_come - done)]

        # What is read.
        m.d.comb += [
            self.read.ready.eq((full != 0) & (~self.beat.valid | self.beat.ready)),
            words.r_en.eq(self.read.valid & self.read.ready), words.r_addr.eq(self.read.payload),
            self.beat.payload.eq(words.r_data)]
        m.d.sync += self.beat.valid.eq(words.r_en | (self.beat.valid & ~self.beat.ready))

        with m.If(self.start):
            m.d.sync += [left.eq(Mux(self.order, self.tokens, 0)), some.eq(self.order & (self.tokens != 0)),
                         room.eq(1),
                         *(each.eq(0) for each in (table, beat, write, asked, full, self.fill.payload))]
        return m
