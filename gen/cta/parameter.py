"""Parameters: they are LSH biases and widths, and the biases of Q and V, by weight set."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from gen.emit import place
from gen.fixed import shape
from model.cta.config import CTAConfig
from model.cta.layout import Parameter

__all__ = ["Parameters"]


class Parameters(wiring.Component):
    """Holds the operands that are not vectors of the token dimension, by weight set.

    LSH parameters are registers, since three LSHs may follow each other without a gap while the
    PPEs still work for the last. Q and V biases are an SRAM row a dimension.

    Timing: ``bias`` comes in the cycle after ``bias_en``; the LSH parameters are constant within a
    job.

    Source: eq. 1 for the LSH. The paper leaves out the biases of Q and V; they are ours.

    Members
    -------
    w_en : A parameter is written.
    w_set : Weight set of the write.
    w_addr : Row of the write. As :class:`model.cta.layout.Parameter` counts them.
    w_data : Value of the write.
    set : Weight set of the job.
    lsh_bias[3*l] : Bias b of hash function f of LSH c, at c*l + f. Format ``fmt.bias``.
    inv_w[3] : Mantissa of 1/w of LSH c. Format ``fmt.multiplier``.
    pre[3] : Right shift of a hash sum before the product with 1/w, by LSH.
    post[3] : Right shift of that product, by LSH.
    bias_en : A bias is asked for.
    bias_v : The bias asked for is one of V, else of Q.
    bias_addr : Dimension of the bias asked for.
    bias : Bias of that dimension, one cycle after ``bias_en``. Format ``fmt.bias``.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        bias, multiplier = shape(cfg.fmt.bias), shape(cfg.fmt.multiplier)
        super().__init__({
            "w_en": In(1), "w_set": In(4), "w_addr": In(16), "w_data": In(32), "set": In(4),
            "lsh_bias": Out(bias).array(3 * cfg.l), "inv_w": Out(multiplier).array(3),
            "pre": Out(5).array(3), "post": Out(5).array(3),
            "bias_en": In(1), "bias_v": In(1), "bias_addr": In(address_width(cfg.d)),
            "bias": Out(bias),
        })

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg

        def register(out, address):
            cells = [Signal.like(out, name=f"p{address}_set{k}", reset_less=True)
                     for k in range(cfg.sets)]
            for k, cell in enumerate(cells):
                with m.If(self.w_en & (self.w_set == k) & (self.w_addr == address)):
                    m.d.sync += cell.eq(self.w_data)
            m.d.comb += out.eq(Array(cells)[self.set])

        for c in range(3):
            for j in range(cfg.l):
                register(self.lsh_bias[c * cfg.l + j], 16 * c + Parameter.LSH_B + j)
            register(self.inv_w[c], 16 * c + Parameter.LSH_INV_W)
            register(self.pre[c], 16 * c + Parameter.LSH_PRE)
            register(self.post[c], 16 * c + Parameter.LSH_POST)

        # Row = dimension, then Q or V, then set.
        depth = 2 * cfg.d * cfg.sets
        bank = SRAM(width=cfg.fmt.bias.width, depth=depth)
        m.submodules.bias_bank = place(platform, bank)
        low = address_width(cfg.d)     # d is a power of two
        is_q = self.w_addr[low:] == Parameter.BQ >> low
        is_v = self.w_addr[low:] == Parameter.BV >> low
        m.d.comb += [
            bank.w_en.eq(self.w_en & (is_q | is_v)),
            bank.w_addr.eq(Cat(self.w_addr[:low], is_v, self.w_set)), bank.w_data.eq(self.w_data),
            bank.r_en.eq(self.bias_en), bank.r_addr.eq(Cat(self.bias_addr, self.bias_v, self.set)),
            self.bias.eq(bank.r_data),
        ]
        return m
