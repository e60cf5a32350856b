"""The systolic array under its PPE row, wired as the engine wires them."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from gen.cta.ppe_row import PPERow
from gen.cta.systolic_array import SystolicArray
from gen.emit import place

__all__ = ["ArrayTop"]

INNER = {"sum", "ap_top", "res", "shift", "shortcut", "linear"}


class ArrayTop(wiring.Component):
    """Ports of both parts under their own names, but ``ctl`` of the row, which is ``ppe_ctl``.

    ``linear`` is the shortcut and shows at the top as well.
    """

    module_name = "cta_array_top"

    def __init__(self, cfg):
        self.array, self.row = SystolicArray(cfg), PPERow(cfg)
        members = {"linear": self.row.signature.members["linear"]}
        for part, renamed in ((self.array, "ctl"), (self.row, "ppe_ctl")):
            members |= {renamed if name == "ctl" else name: member
                        for name, member in part.signature.members.items() if name not in INNER}
        super().__init__(members)
        self.cfg = cfg

    def elaborate(self, platform):
        m = Module()
        array, row = self.array, self.row
        m.submodules.array = place(platform, array)
        m.submodules.row = place(platform, row)

        for j in range(self.cfg.b):
            m.d.comb += [
                row.sum[j].eq(array.sum[j]), row.ap_top[j].eq(array.ap_top[j]),
                row.res[j].eq(array.res[j]), array.shift[j].eq(row.shift[j]),
                array.shortcut[j].eq(row.linear[j]), self.linear[j].eq(row.linear[j]),
            ]
        for part, renamed in ((array, "ctl"), (row, "ppe_ctl")):
            for name, member in part.signature.members.items():
                if name in INNER:
                    continue
                inner = getattr(part, name)
                outer = getattr(self, renamed if name == "ctl" else name)
                pairs = zip(inner, outer) if member.dimensions else [(inner, outer)]
                m.d.comb += [to.eq(by) if member.flow == In else by.eq(to) for to, by in pairs]
        return m
