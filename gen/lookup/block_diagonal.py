"""Block-diagonal product: it holds the multipliers of the projection."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.emit import place
from gen.fixed import shape
from model.fixed import clog2
from model.lookup.config import LookupConfig
from model.lookup.timing import block_latency, outputs, z_lanes

__all__ = ["BlockDiagonal", "DotProduct", "operand"]


def operand(cfg: LookupConfig):
    """Format of what the multipliers take beside a weight."""
    return cfg.fmt.x if cfg.projection == "dense" else cfg.operand


class DotProduct(wiring.Component):
    """One result: z_lanes multipliers, an adder tree with a register a level, an accumulator.

    Timing: ``w`` in cycle c meets ``x`` of c+1; ``first`` in c + 2 + log2(z_lanes) starts the sum
    anew; ``total`` shows it in the cycle after that. There is no back-pressure; data are not reset.

    Numerics: exact; :attr:`LookupConfig.block_acc` holds every sum.

    Source: ours.

    Members
    -------
    x[z_lanes] : Inputs, one cycle after their weights. Format as :func:`operand`.
    w[z_lanes] : Weights. Format ``fmt.weight``.
    first : The products that reach the accumulator in this cycle start a sum.
    total : Sum of the products up to the cycle before. Format ``cfg.block_acc``.
    """

    module_name = "lookup_dot_product"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        lanes = z_lanes(cfg)
        super().__init__({"x": In(shape(operand(cfg))).array(lanes),
                          "w": In(shape(cfg.fmt.weight)).array(lanes),
                          "first": In(1), "total": Out(shape(cfg.block_acc))})

    def elaborate(self, platform):
        m = Module()
        weight = [Signal.like(w, name=f"weight_{k}", reset_less=True)
                  for k, w in enumerate(self.w)]
        m.d.sync += [to.eq(by) for to, by in zip(weight, self.w)]
        terms = [x * w for x, w in zip(self.x, weight)]
        width = len(terms[0])
        for level in range(clog2(len(terms)) + 1):
            nodes = [Signal(signed(width + level), name=f"level_{level}_{k}", reset_less=True)
                     for k in range(len(terms))]
            m.d.sync += [to.eq(by) for to, by in zip(nodes, terms)]
            terms = [a + b for a, b in zip(nodes[::2], nodes[1::2])]
        total = Signal.like(self.total, reset_less=True)
        m.d.sync += total.eq(nodes[0] + Mux(self.first, 0, total))
        m.d.comb += self.total.eq(total)
        return m


class BlockDiagonal(wiring.Component):
    """The product u = B y: P multipliers on z_lanes inputs of a block and ``outputs(cfg)`` results.

    All inputs of a block pass before its results (a group of them, where P is less than the block
    size) move to an output register. From there they leave at the pace at which inputs come. So
    what follows is z_lanes wide, as what feeds it, and the weights of a cycle are one SRAM word. A
    dense projection is one block of d inputs.

    Timing: the results of a group leave in consecutive cycles, the first
    ``model.lookup.timing.block_latency`` after the inputs that were marked ``last``. There is no
    back-pressure; cycles without ``valid`` may stand anywhere between groups.

    Numerics: exact. Golden ``model.lookup.bh4.block_product``; order of the weights
    ``model.lookup.weight_layout.weight_order``.

    Source: Sec. 3.2, eq. 11 for the product; the circuit is ours.

    Members
    -------
    valid : There are inputs and weights.
    first : The inputs are the first of a group.
    last : The inputs are the last of a group.
    x[z_lanes] : Inputs. Format as :func:`operand`.
    w[multipliers] : Weights: for each result those of the inputs. Format ``fmt.weight``.
    o_valid : There are results.
    o[z_lanes] : Results. Format ``cfg.block_acc``.
    """

    module_name = "lookup_block_diagonal"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        lanes = z_lanes(cfg)
        super().__init__({
            "valid": In(1), "first": In(1), "last": In(1),
            "x": In(shape(operand(cfg))).array(lanes),
            "w": In(shape(cfg.fmt.weight)).array(cfg.multipliers),
            "o_valid": Out(1), "o": Out(shape(cfg.block_acc)).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        lanes, count = z_lanes(cfg), outputs(cfg)
        x = [Signal.like(value, name=f"x_{k}", reset_less=True) for k, value in enumerate(self.x)]
        m.d.sync += [to.eq(by) for to, by in zip(x, self.x)]
        full = block_latency(cfg) - 1
        first = delay(m, self.first, full - 1, name="first")
        totals = []
        for k in range(count):
            dot = DotProduct(cfg)
            m.submodules[f"dot_{k}"] = place(platform, dot)
            m.d.comb += [*(to.eq(by) for to, by in zip(dot.x, x)), dot.first.eq(first),
                         *(to.eq(by) for to, by in zip(dot.w, self.w[k * lanes:]))]
            totals.append(dot.total)

        # Results leave the register at its low end.
        done = delay(m, self.valid & self.last, full, name="done", reset=True)
        size = lanes * len(totals[0])
        held = Signal(size * (count // lanes), reset_less=True)
        left = Signal(range(count // lanes + 1))
        with m.If(done):
            m.d.sync += [held.eq(Cat(totals)), left.eq(count // lanes)]
        with m.Elif(left != 0):
            m.d.sync += [held.eq(held >> size), left.eq(left - 1)]
        m.d.comb += [self.o_valid.eq(left != 0), Cat(self.o).eq(held)]
        return m
