"""Shift memory: it keeps one kind of the shifts that the host writes."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM

__all__ = ["ShiftMemory"]


class ShiftMemory(wiring.Component):
    """Keeps the ``depth`` shifts from address ``base`` on, and passes by all others.

    Timing: ``r_data`` comes the cycle after ``r_en``. There is no back-pressure and no reset.

    Source: ours.

    Members
    -------
    p_en : A shift is written, here or elsewhere.
    p_addr : Address of the shift written. As :class:`model.lookup.layout.Parameter` counts them.
    p_data : The shift.
    r_en : A shift is read.
    r_addr : Number of the shift read, from ``base`` on.
    r_data : Shift read, one cycle after ``r_en``.
    """

    def __init__(self, *, width: int, kind: int, base: int, depth: int):
        self.width, self.kind, self.base, self.depth = width, kind, base, depth
        super().__init__({"p_en": In(1), "p_addr": In(16), "p_data": In(width),
                          "r_en": In(1), "r_addr": In(range(max(2, depth))), "r_data": Out(width)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = SRAM(width=self.width, depth=self.depth)
        # A number too large for the engine must not come back as a small one.
        mine = self.p_addr[self.kind:] == self.base >> self.kind
        exists = self.p_addr[:self.kind] < self.depth
        m.d.comb += [
            words.w_en.eq(self.p_en & mine & exists),
            words.w_addr.eq(self.p_addr), words.w_data.eq(self.p_data),
            words.r_en.eq(self.r_en), words.r_addr.eq(self.r_addr),
            self.r_data.eq(words.r_data)]
        return m
