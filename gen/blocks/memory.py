"""The one memory of all generators: a replaceable SRAM wrapper in three flavours.

In Verilog it is ``rtl/hl_sram_1rw.v``, ``rtl/hl_sram_1r1w.v`` or ``rtl/hl_sram_1rw1r.v``; replace the
bodies of these by macros and nothing else changes. Under the Amaranth simulator it is
``amaranth.lib.memory``.
"""

from amaranth.hdl import Assert, ClockSignal, Instance, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from gen.emit import Emitter
from model.fixed import clog2

__all__ = ["PORTS", "SRAM", "address_width"]

PORTS = ("1rw", "1r1w", "1rw1r")
"""Flavours: one port; one to write and one to read; one for both and one to read."""


def address_width(depth: int) -> int:
    """Bits of an address 0..depth-1 of an SRAM: at least one."""
    return max(1, clog2(depth))


class SRAM(wiring.Component):
    """``depth`` words of ``width`` bits behind one clock, in one of three flavours.

    With ``ports="1rw"`` a cycle writes or reads, at ``addr``. With ``"1r1w"``, the default, there is a
    write port ``w_en, w_addr, w_data`` and a read port ``r_en, r_addr, r_data``. With ``"1rw1r"`` these
    two are one read-write port, which writes where both are enabled, and ``q_en, q_addr, q_data`` is a
    read port beside it.

    Timing: read data is valid the cycle after its address and holds while the enable is low. There
    is no reset; the contents are undefined until written.

    Numerics: reading a word in the cycle of its write gives an undefined value, and so does any read
    beside a write where there is one port. Both bodies answer such a read with rubbish, so that a block
    that relies on it fails its test. With one port a read beside a write is a fault of its user: in
    simulation an assertion ends the run.

    Members
    -------
    w_en : A word is written.
    r_en : A word is read, unless one is written by the same read-write port.
    addr : Address of the read or write, with one port only.
    w_addr : Address of the write, with two ports, and so is the next.
    r_addr : Address of the read.
    w_data : The word that is written.
    r_data : The word, one cycle later, held while ``r_en`` is low.
    q_en : A word is read by the second port. With ``1rw1r`` only, and so are the next two.
    q_addr : Address of that read.
    q_data : The word, one cycle later, held while ``q_en`` is low.
    """

    module_name = None      # elaborates to an instance itself

    def __init__(self, *, width: int, depth: int, ports: str = "1r1w"):
        if width < 1 or depth < 1 or ports not in PORTS:
            self._MustUse__used = True      # what is not there need not be used
            raise ValueError(f"SRAM: width is {width}, depth is {depth}, both must be at least 1; "
                             f"ports is {ports!r}, must be one of {', '.join(PORTS)}")
        self.width, self.depth, self.ports = width, depth, ports
        address = address_width(depth)
        members = {"w_en": In(1), "r_en": In(1)}
        members |= ({"addr": In(address)} if ports == "1rw" else
                    {"w_addr": In(address), "r_addr": In(address)})
        members |= {"w_data": In(width), "r_data": Out(width)}
        if ports == "1rw1r":
            members |= {"q_en": In(1), "q_addr": In(address), "q_data": Out(width)}
        super().__init__(members)

    def elaborate(self, platform):
        if isinstance(platform, Emitter):
            return self._instance(platform)
        m = Module()
        m.submodules.cells = cells = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write = cells.write_port()
        one, both = self.ports == "1rw", self.ports == "1rw1r"
        w_addr, r_addr = (self.addr, self.addr) if one else (self.w_addr, self.r_addr)
        m.d.comb += [write.en.eq(self.w_en), write.addr.eq(w_addr[:len(write.addr)]),
                     write.data.eq(self.w_data)]
        if one:
            m.d.sync += Assert(~(self.w_en & self.r_en), "written and read in one cycle, it has one port")
        sides = [(self.r_en & ~self.w_en if both else self.r_en, r_addr, self.r_data)]
        if both:
            sides.append((self.q_en, self.q_addr, self.q_data))
        for en, addr, value in sides:
            read = cells.read_port()
            clash = Signal()
            m.d.comb += [read.en.eq(en), read.addr.eq(addr[:len(read.addr)])]
            with m.If(en):
                m.d.sync += clash.eq(self.w_en & (w_addr == addr))
            m.d.comb += value.eq(Mux(clash, ~read.data, read.data))
        return m

    def _instance(self, emitter):
        name = f"hl_sram_{self.ports}"
        emitter.use(name)
        wires = {"i_clk": ClockSignal()}
        for port in self.signature.members:
            way = "o" if port.endswith("_data") and port != "w_data" else "i"
            wires[f"{way}_{port}"] = getattr(self, port)
        return Instance(name, p_WIDTH=self.width, p_DEPTH=self.depth, **wires)
