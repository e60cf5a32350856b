"""InternalTables: it stands behind the table port where all tables are in SRAM."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM
from model.lookup.config import LookupConfig

__all__ = ["InternalTables"]


class InternalTables(wiring.Component):
    """The beats of all tables in one SRAM, as a memory of latency 1 behind the table port.

    Timing: a response comes in the cycle after its request, a beat a cycle; a response that is not
    taken holds the next request up.

    Source: ours.

    Members
    -------
    t_en : A beat is written.
    t_addr : Number of that beat: row * row_beats + beat.
    t_data : Beat of the tables: ``lanes`` entries of 8 bits, signed, the first lowest.
    request : Stream of beat numbers that are read.
    response : Stream of the beats read, in order.
    """

    module_name = "lookup_internal_tables"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        super().__init__({
            "t_en": In(1), "t_addr": In(cfg.address_width), "t_data": In(8 * cfg.lanes),
            "request": In(stream.Signature(cfg.address_width)),
            "response": Out(stream.Signature(8 * cfg.lanes))})

    def elaborate(self, platform):
        m = Module()
        cfg, response = self.cfg, self.response
        m.submodules.words = words = SRAM(width=8 * cfg.lanes, depth=cfg.rows * cfg.row_beats)
        m.d.comb += [
            self.request.ready.eq(~response.valid | response.ready),
            words.r_en.eq(self.request.valid & self.request.ready),
            words.r_addr.eq(self.request.payload), response.payload.eq(words.r_data),
            words.w_en.eq(self.t_en), words.w_addr.eq(self.t_addr), words.w_data.eq(self.t_data)]
        m.d.sync += response.valid.eq(words.r_en | (response.valid & ~response.ready))
        return m
