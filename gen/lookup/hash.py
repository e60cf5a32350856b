"""Hash: it makes rows of soft hash codes; a row is a table, a code and a weight."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM
from gen.blocks.outlet import Outlet
from gen.blocks.pipeline import delay
from gen.emit import place
from gen.fixed import shape
from gen.lookup.grouping import Grouping, z_layout
from gen.lookup.score import Score
from model.fixed import SHIFT
from model.lookup.config import LookupConfig
from model.lookup.timing import score_latency, score_sums

__all__ = ["Hash", "row_layout"]


def row_layout(cfg: LookupConfig):
    """A row of N(z): where it is, its weight, and whether it begins or ends a token."""
    return data.StructLayout({"table": range(max(2, cfg.h)), "code": cfg.tau,
                              "score": shape(cfg.score), "first": 1, "last": 1})


class Hash(wiring.Component):
    """Gives the rows of a token: for each table the heaviest, then those at one flipped bit.

    The flips go in the order of the elements: bit 0 of the hash, bit 1, ...

    Timing: the first row of a table leaves ``hash_latency`` cycles after the beat of z that
    completes it; one row a cycle where z brings tau elements in ``entries`` cycles. No row waits
    for another token.

    Numerics: golden ``model.lookup.hash.codes`` and ``scores``.

    Source: Sec. 3.1, eqs. 6 to 8; Sec. 4 for <z, S> in place of a separate GELU. The paper computes
    the weights in floating point; here products of sigmoids are sums of logarithms.

    Members
    -------
    z : Stream of soft codes. Payload :func:`gen.lookup.grouping.z_layout`.
    rows : Stream of rows. Payload :func:`row_layout`.
    s_en : The shift of a table is written.
    s_addr : Table whose shift is written.
    s_data : Right shift of the scores of that table.
    sat_score : The score of a row is saturated.
    """

    module_name = "lookup_hash"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        super().__init__({
            "z": In(stream.Signature(z_layout(cfg))),
            "rows": Out(stream.Signature(row_layout(cfg))),
            "s_en": In(1), "s_addr": In(range(max(2, cfg.h))), "s_data": In(SHIFT.width),
            "sat_score": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        latency = score_latency(cfg)
        grouping, score = Grouping(cfg), Score(cfg)
        # A place is free again the cycle after its row left, two after the row was put there.
        outlet = Outlet(row_layout(cfg), latency + 2)
        m.submodules.grouping = place(platform, grouping)
        m.submodules.score = place(platform, score)
        m.submodules.outlet = place(platform, outlet)
        m.submodules.shifts = shifts = SRAM(width=SHIFT.width, depth=cfg.h)
        wiring.connect(m, wiring.flipped(self.z), grouping.z)
        wiring.connect(m, outlet.o, wiring.flipped(self.rows))

        # Which row: entries inside, tables outside.
        go = Signal()
        entry, table = Signal(range(cfg.tau + 1)), Signal(range(max(2, cfg.h)))
        last_entry, last_table = entry == cfg.entries - 1, table == cfg.h - 1
        elements, valid, done = self._held(m, grouping.group)
        m.d.comb += [go.eq(valid & outlet.open), outlet.start.eq(go), done.eq(go & last_entry)]
        with m.If(go):
            m.d.sync += entry.eq(Mux(last_entry, 0, entry + 1))
            with m.If(last_entry):
                m.d.sync += table.eq(Mux(last_table, 0, table + 1))

        sums = score_sums(cfg)
        here = delay(m, table, sums, name="table")
        m.d.comb += [
            score.z.eq(elements), score.shift.eq(shifts.r_data),
            shifts.r_en.eq(delay(m, go, sums, reset=True, name="go")), shifts.r_addr.eq(here),
            shifts.w_en.eq(self.s_en), shifts.w_addr.eq(self.s_addr), shifts.w_data.eq(self.s_data)]
        if cfg.neighbours:
            m.d.comb += score.entry.eq(entry)

        put = delay(m, go, latency, reset=True, name="put")
        m.d.comb += [
            outlet.put.eq(put), outlet.item.code.eq(score.code),
            outlet.item.score.eq(score.score),
            outlet.item.table.eq(delay(m, here, latency - sums, name="there")),
            outlet.item.first.eq(delay(m, (table == 0) & (entry == 0), latency, name="first")),
            outlet.item.last.eq(delay(m, last_table & last_entry, latency, name="last")),
            self.sat_score.eq(put & score.saturated)]
        return m

    def _held(self, m, group):
        """The elements in work, whether there are any, and a signal to drive when they are done.

        With neighbours they are held, so that the next ones gather meanwhile.
        """
        done = Signal()
        if not self.cfg.neighbours:
            m.d.comb += group.ready.eq(done)
            return group.payload, group.valid, done
        elements, valid = Signal.like(group.payload, reset_less=True), Signal()
        m.d.comb += group.ready.eq(~valid | done)
        with m.If(group.ready):
            m.d.sync += [valid.eq(group.valid), elements.eq(group.payload)]
        return elements, valid, done
