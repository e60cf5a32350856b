"""The one memory of all generators: a replaceable SRAM wrapper in two flavours.

In Verilog it is ``rtl/hl_sram_1r1w.v`` or ``rtl/hl_sram_1rw1r.v``; replace the bodies of these two
by macros and nothing else changes. Under the Amaranth simulator it is ``amaranth.lib.memory``.
"""

from amaranth.hdl import ClockSignal, Instance, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from gen.emit import Emitter
from model.fixed import clog2

__all__ = ["SRAM", "address_width"]


def address_width(depth: int) -> int:
    """Bits of an address 0..depth-1 of an SRAM: at least one."""
    return max(1, clog2(depth))


class SRAM(wiring.Component):
    """``depth`` words of ``width`` bits behind one clock, in one of two flavours.

    Port 0 is ``w_en, w_addr, w_data`` and ``r_en, r_addr, r_data``. With ``rw=False`` it is a write
    port and a read port. With ``rw=True`` it is one read-write port, which writes where both are
    enabled, and ``q_en, q_addr, q_data`` is a read port beside it.

    Timing: read data is valid the cycle after its address and holds while the enable is low. There
    is no reset; the contents are undefined until written.

    Numerics: reading a word in the cycle of its write gives an undefined value. Both bodies answer
    such a read with rubbish, so that a block that relies on it fails its test.

    Members
    -------
    w_en : A word is written.
    w_addr : Address of the write.
    w_data : The word.
    r_en : A word is read, unless one is written by the same read-write port.
    r_addr : Address of the read.
    r_data : The word, one cycle later, held while ``r_en`` is low.
    q_en : A word is read by the second port. With ``rw`` only, and so are the next two.
    q_addr : Address of that read.
    q_data : The word, one cycle later, held while ``q_en`` is low.
    """

    module_name = None      # elaborates to an instance itself

    def __init__(self, *, width: int, depth: int, rw: bool = False):
        if width < 1 or depth < 1:
            self._MustUse__used = True      # what is not there need not be used
            raise ValueError(f"SRAM: width is {width}, depth is {depth}, both must be at least 1")
        self.width, self.depth, self.rw = width, depth, rw
        address = address_width(depth)
        members = {"w_en": In(1), "w_addr": In(address), "w_data": In(width),
                   "r_en": In(1), "r_addr": In(address), "r_data": Out(width)}
        if rw:
            members |= {"q_en": In(1), "q_addr": In(address), "q_data": Out(width)}
        super().__init__(members)

    def elaborate(self, platform):
        if isinstance(platform, Emitter):
            return self._instance(platform)
        m = Module()
        m.submodules.cells = cells = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write = cells.write_port()
        m.d.comb += [write.en.eq(self.w_en), write.addr.eq(self.w_addr[:len(write.addr)]),
                     write.data.eq(self.w_data)]
        enable = self.r_en & ~self.w_en if self.rw else self.r_en
        sides = [(enable, self.r_addr, self.r_data)]
        if self.rw:
            sides.append((self.q_en, self.q_addr, self.q_data))
        for en, addr, value in sides:
            read = cells.read_port()
            clash = Signal()
            m.d.comb += [read.en.eq(en), read.addr.eq(addr[:len(read.addr)])]
            with m.If(en):
                m.d.sync += clash.eq(self.w_en & (self.w_addr == addr))
            m.d.comb += value.eq(Mux(clash, ~read.data, read.data))
        return m

    def _instance(self, emitter):
        name = "hl_sram_1rw1r" if self.rw else "hl_sram_1r1w"
        emitter.use(name)
        wires = {"i_clk": ClockSignal()}
        for port in self.signature.members:
            way = "o" if port.endswith("_data") and port != "w_data" else "i"
            wires[f"{way}_{port}"] = getattr(self, port)
        return Instance(name, p_WIDTH=self.width, p_DEPTH=self.depth, **wires)
