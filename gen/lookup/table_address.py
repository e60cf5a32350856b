"""TableAddress: it turns codes into the beats of their rows."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.emit import place
from gen.lookup.row_walk import ROWS_IN, RowWalk
from model.fixed import clog2
from model.lookup.config import LookupConfig

__all__ = ["TableAddress", "table_beats", "beat_width"]


def table_beats(cfg: LookupConfig) -> int:
    """Beats of a table."""
    return cfg.row_beats << cfg.tau


def beat_width(cfg: LookupConfig) -> int:
    """Bits of a beat number among all tables, or in a tile memory of two."""
    return clog2(max(2, cfg.h) * table_beats(cfg))


class TableAddress(wiring.Component):
    """Beats of row ``code`` of each table: ``offset + code * row_beats + beat``, one after another.

    Token-major, the offset is that of the table among all. Table-major it is that of the tile, one
    of two in turn.

    Timing: a beat a cycle where rows are there, also with one beat a row; three cycles from the
    write of a row to its first beat. ``beat.valid`` and the address come from registers.

    Source: Sec. 5 for the two orders.

    Members
    -------
    start : A job begins.
    order : The job is table-major, else token-major. Stable while it runs.
    tokens : Tokens of the job. Read with ``start``.
    row_in : A row is written to the store.
    token_in : The row written is the last of its token.
    code_en : A code is read from the store.
    code_addr : Address of the code read.
    code : Code of a row, one cycle after ``code_en``.
    beat : Stream of beat numbers.
    ends_table : The beat taken in this cycle is the last that this batch reads of its table.
    """

    module_name = "lookup_table_address"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        self._walk = RowWalk(cfg)
        super().__init__({
            **ROWS_IN,
            "code_en": Out(1), "code_addr": Out(len(self._walk.address)), "code": In(cfg.tau),
            "beat": Out(stream.Signature(beat_width(cfg))), "ends_table": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg, walk = self.cfg, self._walk
        m.submodules.walk = place(platform, walk)
        for name in ROWS_IN:
            m.d.comb += getattr(walk, name).eq(getattr(self, name))

        # Cycle 0: the code's address. Offsets follow the walk.
        fetched, shown, go = Signal(), Signal(), Signal()
        offset = Signal(beat_width(cfg))
        size = table_beats(cfg)
        m.d.comb += [walk.step.eq(walk.valid & (~fetched | go)),
                     self.code_en.eq(walk.step), self.code_addr.eq(walk.address)]
        with m.If(walk.step & walk.ends_table):
            with m.If(self.order):
                m.d.sync += offset.eq(Mux(offset == 0, size, 0))
            with m.Else():
                m.d.sync += offset.eq(Mux(walk.ends_batch, 0, offset + size))

        # Cycle 1: the code.
        fetched_offset, fetched_end = Signal.like(offset), Signal()
        with m.If(walk.step):
            m.d.sync += [fetched_offset.eq(offset), fetched_end.eq(walk.ends_table)]
        m.d.sync += fetched.eq(walk.step | (fetched & ~go))

        # Cycle 2 and on: its beats.
        count, end, taken, last = Signal(range(max(2, cfg.row_beats))), Signal(), Signal(), Signal()
        address = self.beat.payload
        m.d.comb += [
            self.beat.valid.eq(shown), taken.eq(shown & self.beat.ready),
            last.eq(taken & (count == cfg.row_beats - 1)), go.eq(fetched & (~shown | last)),
            self.ends_table.eq(last & end)]
        with m.If(taken):
            m.d.sync += [address.eq(address + 1), count.eq(Mux(last, 0, count + 1))]
        with m.If(go):
            m.d.sync += [address.eq(fetched_offset + self.code * cfg.row_beats),
                         end.eq(fetched_end)]
        m.d.sync += shown.eq(go | (shown & ~last))
        with m.If(self.start):
            m.d.sync += offset.eq(0)
        return m
