"""Row pair: it is a memory in two halves, from which two neighbouring rows are read in one cycle."""

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from gen.blocks.pipeline import delay
from gen.emit import place

__all__ = ["RowPair"]


class RowPair(wiring.Component):
    """``depth`` rows of ``width`` bits: even ones in one memory, odd ones in another.

    Timing: ``r_en`` with ``r_addr`` in cycle c gives ``r_data`` in c+1, and with ``both`` the odd row behind
    an even one, or the even one before an odd one, as ``r_other``. ``w_en`` writes at the end of its cycle.
    A row must not be written in the cycle in which it is read. There is no back-pressure.

    Source: ours (docs/decisions/0038-fast-products.md).

    Parameters
    ----------
    width : Bits of a row.
    depth : Rows.

    Members
    -------
    r_en : A row is read.
    r_addr : Number of that row.
    both : The neighbour of the row is read as well.
    r_data : The row, one cycle later.
    r_other : The neighbour.
    w_en : A row is written.
    w_addr : Number of that row.
    w_data : What it becomes.
    """

    def __init__(self, width: int, depth: int):
        self.width, self.depth = width, depth
        self.module_name = f"cta_row_pair_{depth}x{width}"
        at = address_width(depth)
        super().__init__({"r_en": In(1), "r_addr": In(at), "both": In(1), "r_data": Out(width),
                          "r_other": Out(width), "w_en": In(1), "w_addr": In(at), "w_data": In(width)})

    def elaborate(self, platform):
        m = Module()
        halves = [SRAM(width=self.width, depth=-(-self.depth // 2)) for _ in range(2)]
        for odd, (name, half) in enumerate(zip(("even", "odd"), halves)):
            m.submodules[name] = place(platform, half)
            m.d.comb += [
                half.r_en.eq(self.r_en & (self.both | (self.r_addr[0] == odd))),
                half.r_addr.eq(self.r_addr[1:]), half.w_en.eq(self.w_en & (self.w_addr[0] == odd)),
                half.w_addr.eq(self.w_addr[1:]), half.w_data.eq(self.w_data)]
        even, odd = (half.r_data for half in halves)
        which = delay(m, self.r_addr[0], 1, name="which")
        m.d.comb += Cat(self.r_data, self.r_other).eq(Mux(which, Cat(odd, even), Cat(even, odd)))
        return m
