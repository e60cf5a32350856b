"""Parameters: they are LSH biases and widths, and what the sums of Q, K and V begin with, by weight set."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from gen.cta.interfaces import LSHParameters
from gen.emit import place
from gen.fixed import shape
from model.cta.config import CTAConfig
from model.cta.layout import BETAS, SET_WIDTH, Parameter

__all__ = ["Parameters", "ParameterWrite", "BiasRead"]


class ParameterWrite(data.Struct):
    """A parameter that the loader brings: its weight set, and its row as
    :class:`model.cta.layout.Parameter` counts them."""

    en: 1
    set: 4
    addr: 16
    data: 32


class BiasRead(data.StructLayout):
    """The bias of dimension ``addr`` of V, else of Q, comes in the next cycle; with fast products the beta
    of K with ``k``, else of the same."""

    def __init__(self, cfg: CTAConfig):
        super().__init__({"en": 1, "v": 1, "addr": address_width(cfg.d),
                          **({"k": 1} if cfg.program.fast else {})})


class Parameters(wiring.Component):
    """Holds the operands that are not vectors of the token dimension, by weight set.

    LSH parameters are registers, since three LSHs may follow each other without a gap while the
    PPEs still work for the last. Q and V biases are an SRAM row a dimension. Betas are what fast products
    have too much on the side of the weights, of Q, K and V, in a memory of their own.

    Timing: ``bias`` comes in the cycle after ``read.en``; the LSH parameters are constant within a
    job.

    Source: eq. 1 for the LSH. The paper leaves out the biases of Q and V; they are ours.

    Members
    -------
    write : Write of the loader.
    set : Weight set of the job.
    lsh : Parameters of the LSHs, of that set.
    read : Asks for a bias of Q or V.
    bias : Bias asked for, one cycle after ``read.en``. Format ``fmt.bias``.
    beta : Beta asked for, with it. Format ``cfg.beta``. Only with fast products.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "write": In(ParameterWrite), "set": In(SET_WIDTH), "lsh": Out(LSHParameters(cfg)),
            "read": In(BiasRead(cfg)), "bias": Out(shape(cfg.fmt.bias)),
            **({"beta": Out(shape(cfg.beta))} if cfg.program.fast else {}),
        })

    def elaborate(self, platform):
        m = Module()
        cfg, write, lsh, read = self.cfg, self.write, self.lsh, self.read

        def register(out, address):
            cells = [Signal.like(out, name=f"p{address}_set{k}", reset_less=True)
                     for k in range(cfg.sets)]
            for k, cell in enumerate(cells):
                with m.If(write.en & (write.set == k) & (write.addr == address)):
                    m.d.sync += cell.eq(write.data)
            m.d.comb += out.eq(Array(cells)[self.set])

        for c in range(3):
            for j in range(cfg.l):
                register(lsh.bias[c * cfg.l + j], 16 * c + Parameter.LSH_B + j)
            register(lsh.inv_w[c], 16 * c + Parameter.LSH_INV_W)
            register(lsh.pre[c], 16 * c + Parameter.LSH_PRE)
            register(lsh.post[c], 16 * c + Parameter.LSH_POST)

        # Row = dimension, then Q or V, then set.
        depth = 2 * cfg.d * cfg.sets
        bank = SRAM(width=cfg.fmt.bias.width, depth=depth)
        m.submodules.bias_bank = place(platform, bank)
        low = address_width(cfg.d)     # d is a power of two
        is_q = write.addr[low:] == Parameter.BQ >> low
        is_v = write.addr[low:] == Parameter.BV >> low
        m.d.comb += [
            bank.w_en.eq(write.en & (is_q | is_v)),
            bank.w_addr.eq(Cat(write.addr[:low], is_v, write.set)), bank.w_data.eq(write.data),
            bank.r_en.eq(read.en), bank.r_addr.eq(Cat(read.addr, read.v, self.set)),
            self.bias.eq(bank.r_data),
        ]
        if cfg.program.fast:
            self._betas(m, platform, low)
        return m

    def _betas(self, m, platform, low):
        """Row = dimension, then Q, K or V, then set."""
        cfg, write, read = self.cfg, self.write, self.read
        bank = SRAM(width=cfg.beta.width, depth=len(BETAS) * cfg.d * cfg.sets)
        m.submodules.beta_bank = place(platform, bank)
        of = [write.addr[low:] == first >> low for first in BETAS.values()]
        bases = Array(at * len(BETAS) * cfg.d for at in range(cfg.sets))
        m.d.comb += [
            bank.w_en.eq(write.en & Cat(of).any()), bank.w_data.eq(write.data),
            bank.w_addr.eq(bases[write.set] + Cat(write.addr[:low], of[1], of[2])),
            bank.r_en.eq(read.en), bank.r_addr.eq(bases[self.set] + Cat(read.addr, read.k, read.v)),
            self.beta.eq(bank.r_data)]
