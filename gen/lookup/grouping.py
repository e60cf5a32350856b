"""Grouping: it cuts the beats of the projection into the tau elements of a table."""

from math import gcd

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.fixed import shape
from model.lookup.config import LookupConfig
from model.lookup.timing import z_lanes

__all__ = ["Grouping", "z_layout"]


def z_layout(cfg: LookupConfig):
    """A beat of z: elements in their natural order, and whether it is the last of its token."""
    return data.StructLayout({"z": data.ArrayLayout(shape(cfg.fmt.z), z_lanes(cfg)), "last": 1})


class Grouping(wiring.Component):
    """Cuts a stream of z_lanes elements a beat into groups of tau, one for each table of a token.

    A group leaves at the bottom of a register of elements and all others move down by tau. A beat
    enters above them, at one of the few places that multiples of the two widths leave. The last
    beat of a token counts only the elements it has, so a token ends with a whole group and the next
    follows without a gap.

    Timing: a group is offered in the cycle after its last element; a group a cycle, or a beat a
    cycle, whichever is slower. ``z.ready`` follows ``group.ready`` in the same cycle.

    Source: ours.

    Members
    -------
    z : Stream of soft codes. Payload :func:`z_layout`.
    group : Stream of the tau elements of a table. Format ``fmt.z``, the first lowest.
    """

    module_name = "lookup_grouping"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        super().__init__({
            "z": In(stream.Signature(z_layout(cfg))),
            "group": Out(stream.Signature(data.ArrayLayout(shape(cfg.fmt.z), cfg.tau)))})

    def elaborate(self, platform):
        m = Module()
        cfg, tau, lanes = self.cfg, self.cfg.tau, z_lanes(self.cfg)
        step = gcd(tau, lanes)
        size = tau - step + lanes
        in_last = cfg.codes % lanes or lanes
        held = [Signal(shape(cfg.fmt.z), name=f"held_{i}", reset_less=True) for i in range(size)]
        count, rest = Signal(range(size + 1)), Signal(range(size + 1))
        gone, come = Signal(), Signal()

        m.d.comb += [
            self.group.valid.eq(count >= tau), gone.eq(self.group.valid & self.group.ready),
            rest.eq(Mux(gone, count - tau, count)), self.z.ready.eq(rest < tau),
            come.eq(self.z.valid & self.z.ready),
            *(to.eq(of) for to, of in zip(self.group.payload, held))]
        m.d.sync += count.eq(rest + Mux(come, Mux(self.z.payload.last, in_last, lanes), 0))
        with m.If(gone):
            m.d.sync += [to.eq(of) for to, of in zip(held, held[tau:])]
        with m.If(come):
            with m.Switch(rest):
                for place in range(0, tau, step):
                    with m.Case(place):
                        m.d.sync += [held[place + i].eq(self.z.payload.z[i]) for i in range(lanes)]
        return m
