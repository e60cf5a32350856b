"""Load queue: it holds beats for the banks of a lane group while their weights are read."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM
from gen.blocks.pipeline import delay
from gen.cta.lane_commands import LoadWrite
from model.cta.config import CTAConfig
from model.cta.layout import ELEMENT_WIDTH

__all__ = ["LoadQueue"]


class LoadQueue(wiring.Component):
    """Takes beats in order and gives them on when no weight bank of the group is about to be read.

    Weight banks have one port. With fast products they are read for more than half of the time while
    linears run, and beats go round the groups, so that without a queue one group holds up all.

    Timing: ``put`` in cycle c is in the memory from c+1 on. A beat leaves, as ``get`` with ``taken``, in the
    cycle after one without ``hold``, two cycles after its ``put`` at the earliest. ``full`` counts the beat
    that ``put`` brings, so that the one taken from the host in the same cycle has room. Reset empties it.

    Source: ours (docs/decisions/0038-fast-products.md).

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    put : Write that comes from the loader, of this group.
    beat : Elements of that write, 16 bits each.
    hold : A weight bank of the group is read in the next cycle.
    full : No beat may be taken from the host in this cycle.
    get : Write for the banks in this cycle.
    taken : Elements of that write, 16 bits each.
    busy : A beat is in here.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({"put": In(LoadWrite(cfg)), "beat": In(cfg.lanes * ELEMENT_WIDTH), "hold": In(1),
                          "full": Out(1), "get": Out(LoadWrite(cfg)), "taken": Out(cfg.lanes * ELEMENT_WIDTH),
                          "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg, put, depth = self.cfg, self.put, self.cfg.load_queue
        f = cfg.fmt
        size = max(f.token.width, f.weight.width, f.lsh_a.width)
        kept = Cat(self.beat.word_select(at, ELEMENT_WIDTH)[:size] for at in range(cfg.lanes))
        m.submodules.beats = memory = SRAM(width=1 + len(put.addr) + len(kept), depth=depth)
        head, tail = Signal(range(depth)), Signal(range(depth))
        level, puts, leaves = Signal(range(depth + 1)), Signal(), Signal()
        m.d.comb += [
            puts.eq(put.token | put.weight), leaves.eq((level != 0) & ~self.hold),
            memory.w_en.eq(puts), memory.w_addr.eq(tail), memory.w_data.eq(Cat(put.token, put.addr, kept)),
            memory.r_en.eq(leaves), memory.r_addr.eq(head), self.full.eq(level + puts >= depth)]
        m.d.sync += [level.eq(level + puts - leaves), head.eq(head + leaves), tail.eq(tail + puts)]

        here = delay(m, leaves, 1, reset=True, name="here")
        token, addr = memory.r_data[0], memory.r_data[1:1 + len(put.addr)]
        elements = memory.r_data[1 + len(put.addr):]
        m.d.comb += [
            self.get.token.eq(here & token), self.get.weight.eq(here & ~token), self.get.addr.eq(addr),
            *(self.taken.word_select(at, ELEMENT_WIDTH).eq(elements.word_select(at, size).as_signed())
              for at in range(cfg.lanes)), self.busy.eq((level != 0) | here)]
        return m
