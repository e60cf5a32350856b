"""Partial sums: they enter the array from below, and come back for the next slice."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from gen.blocks.pipeline import delay
from gen.emit import place
from gen.fixed import shape
from model.cta.config import CTAConfig

__all__ = ["AlphaRead", "Inject", "InjectControl", "PartialSumWrite", "PartialSums"]


class Inject(enum.Enum, shape=2):
    """What enters the bottom of a column."""

    ZERO = 0
    BIAS = 1      # bias of this dimension, on columns below ``cols``
    PARTIAL = 2   # the sum of the slices before


class InjectControl(data.StructLayout):
    """What enters column 0 in one cycle; it climbs a column a cycle to the right.

    ``kind``: zero, a bias or a partial sum. ``addr``: where the partial sum lies. ``bias``: the
    bias, which columns 0..cols-1 take. Where weights stay every column has a bias of its own, for all
    rows from ``first`` on: that of column j comes j cycles after that of column 0. With fast products
    ``begins`` is up where the sum of a linear does: the alpha of the row is taken off it, and ``beta`` of the
    column added, which comes and stays as the bias does, but both two cycles ahead of the rest.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"kind": Inject, "addr": address_width(cfg.partial_depth(True)),
                          "bias": shape(cfg.fmt.bias),
                          **({"first": 1} if cfg.program.weights_stay else {"cols": range(cfg.b + 1)}),
                          **({"begins": 1, "beta": shape(cfg.beta)} if cfg.program.fast else {})})


class AlphaRead(data.StructLayout):
    """``en``: the alpha of a row is asked for, at ``addr``."""

    def __init__(self, cfg: CTAConfig):
        super().__init__({"en": 1, "addr": address_width(cfg.alpha_rows)})


class PartialSumWrite(data.StructLayout):
    """``en``: the sum that column 0 shows now is kept at ``addr``. ``alpha``: that of column 0 alone is,
    among the alphas, at ``addr``; only with fast products."""

    def __init__(self, cfg: CTAConfig):
        super().__init__({"en": 1, "addr": address_width(max(cfg.partial_depth(True), cfg.alpha_rows)),
                          **({"alpha": 1} if cfg.program.fast else {})})


class PartialSums(wiring.Component):
    """Bottom edge of the array: zero, a bias, or the partial sum of the slices before.

    A token of T slices takes T passes of d rows. The sum over the slices stays here, one SRAM a
    column. With one slice there is no memory at all. Where weights stay, so does the bias of a column.

    With fast products a sum begins less what they have too much: the sum of w_a w_b of the column, which is
    its beta, and that of x_a x_b of the row, its alpha, which an ALPHA row has left here.

    Timing: ``ctl`` in cycle c reaches column j as ``inject[j]`` in cycle c+2+j. ``write`` in cycle
    c keeps ``sum[j]`` of cycle c+j; it can be read by a ``ctl`` of cycle c+1 or later. ``alpha`` is
    asked for a cycle before its ``ctl``. There is no back-pressure.

    Source: not in the paper, which takes d_w = d; see docs/decisions. Fast products: see
    :class:`gen.cta.pe.PE`.

    Members
    -------
    ctl : What enters the bottom of column 0.
    write : Whether the sum that column 0 shows now is kept, and where.
    alpha : Asks for the alpha of a row. Only with fast products.
    sum[b] : Sum at the top of column j. Format ``cfg.acc``.
    inject[b] : What the sum of column j starts with. Format ``cfg.acc``.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "ctl": In(InjectControl(cfg)), "write": In(PartialSumWrite(cfg)),
            "sum": In(shape(cfg.acc)).array(cfg.b), "inject": Out(shape(cfg.acc)).array(cfg.b),
            **({"alpha": In(AlphaRead(cfg))} if cfg.program.fast else {}),
        })

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        ctl, write = self.ctl, self.write
        comes = Signal(shape(cfg.fmt.bias), reset_less=True)
        m.d.sync += comes.eq(ctl.bias)
        corrections = self._corrections(m, platform) if cfg.program.fast else None
        for j in range(cfg.b):
            at = Signal(InjectControl(cfg), name=f"ctl_{j}")      # ctl of this column, a cycle on
            m.d.sync += at.eq(ctl)
            inject = Signal(shape(cfg.acc), reset_less=True, name=f"inject_{j}")
            m.d.comb += self.inject[j].eq(inject)
            if cfg.program.fast:
                value = self._begins(m, ctl, at, j, *corrections)
                corrections = *corrections[:2], delay(m, corrections[2], 1, name=f"alpha_{j}")
            elif cfg.program.weights_stay:
                # The bias of this column comes with its first row, and stays for all.
                kept = Signal.like(comes, name=f"bias_{j}")
                bias, exists = Mux(at.first, comes, kept), 1
                m.d.sync += kept.eq(bias)
            else:
                bias, exists = at.bias, j < at.cols
            if not cfg.program.fast:
                value = Mux((at.kind == Inject.BIAS) & exists, bias, 0)
            if cfg.slices > 1:
                bank = SRAM(width=cfg.acc.width, depth=cfg.partial_depth(j < cfg.hash_columns))
                m.submodules[f"partial_{j}"] = place(platform, bank)
                m.d.comb += [
                    bank.r_en.eq(ctl.kind == Inject.PARTIAL), bank.r_addr.eq(ctl.addr),
                    bank.w_en.eq(write.en), bank.w_addr.eq(write.addr), bank.w_data.eq(self.sum[j]),
                ]
                value = Mux(at.kind == Inject.PARTIAL, bank.r_data.as_signed(), value)
                later = Signal(PartialSumWrite(cfg), name=f"write_{j}")
                m.d.sync += later.eq(write)
                write = later
            m.d.sync += inject.eq(value)
            ctl = at
        return m

    def _corrections(self, m, platform):
        """Bias and beta of a column as one, beta alone, and the alpha of the row that enters column 0."""
        cfg, ctl, write = self.cfg, self.ctl, self.write
        bank = SRAM(width=cfg.acc.width, depth=cfg.alpha_rows)
        m.submodules.alphas = place(platform, bank)
        m.d.comb += [bank.r_en.eq(self.alpha.en), bank.r_addr.eq(self.alpha.addr),
                     bank.w_en.eq(write.alpha), bank.w_addr.eq(write.addr), bank.w_data.eq(self.sum[0])]
        bias, beta = delay(m, ctl.bias, 1, name="bias"), delay(m, ctl.beta, 1, name="beta")
        both, alone, alpha = (Signal(shape(cfg.acc), reset_less=True, name=name)
                              for name in ("both", "alone", "alpha"))
        m.d.sync += [both.eq(bias + beta), alone.eq(beta), alpha.eq(bank.r_data)]
        return both, alone, alpha

    def _begins(self, m, ctl, at, j, both, alone, alpha):
        """What the sum of a linear begins with in column j, else 0: chosen in one cycle, less alpha in the
        next. What comes for the column stays."""
        kept = [Signal.like(one, name=f"{name}_{j}") for name, one in (("both", both), ("alone", alone))]
        chosen = [Mux(ctl.first, new, old) for new, old in zip((both, alone), kept)]
        begin = Signal.like(both, name=f"begin_{j}", reset_less=True)
        m.d.sync += [*(old.eq(one) for old, one in zip(kept, chosen)),
                     begin.eq(Mux(ctl.kind == Inject.BIAS, *chosen))]
        return Mux(at.begins, begin - alpha, 0)
