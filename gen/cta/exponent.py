"""ADD_EXP: it adds a score of level 1 and one of level 2, and gives the exponential (CTA, Fig. 9c)."""

from amaranth.hdl import Array, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.fixed import shape
from model.cta.config import CTAConfig

__all__ = ["Exponent"]


class Exponent(wiring.Component):
    """The unit computes p = 2**(s1 + s2) of two scores in log2 units.

    With e = s1 + s2 in units of 1/64 (2**-exp_index): i = e >> 6, f = e & 63, and p is exp_table[f]
    scaled by 2**i. The table entries are normalised (1 <= entry < 2), so that i alone tells whether
    p is out of range on either side, and the barrel shifter covers only the places between. Each
    unit has a table of its own: 64 x 12 bits of logic cost less than the ports of a shared one.

    Timing: ``p`` is valid ``LATENCY`` cycles after ``s1, s2, en``, one result a cycle. Sum, table,
    shift and rounding have a stage each. There is no back-pressure.

    Numerics: golden ``model.cta.probability.exp2``. Left shifts are exact. Right shifts round half
    up: the shifter keeps one place below the point, and the rounding adds it. Above prob.max the
    value is prob.max and ``saturated`` is high. Where ``en`` is low, both are 0.

    Source: Sec. IV-B (4), Fig. 9 (c). The paper follows A3 (two tables and a multiplier). Powers of
    two need one table and a shifter, because the factor log2(e)/sqrt(d) is part of Wq.

    Members
    -------
    s1 : Score of level 1. Format ``fmt.score``.
    s2 : Score of level 2. Format ``fmt.score``.
    en : The scores of this cycle count; where it is low the result is 0.
    p : The exponential, ``LATENCY`` cycles later. Format ``fmt.prob``.
    saturated : ``p`` is held to its largest value.
    """

    LATENCY = 4
    module_name = "cta_exponent"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        score = shape(cfg.fmt.score)
        super().__init__({"s1": In(score), "s2": In(score), "en": In(1),
                          "p": Out(shape(cfg.fmt.prob)), "saturated": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg, prob = self.cfg, self.cfg.fmt.prob
        mantissa = cfg.exp_mantissa
        # An entry is shifted left by i + point; beyond [-below, above] p is zero or out of range.
        point = prob.frac - (mantissa - 1)
        above = prob.width - mantissa
        below = mantissa + 1

        # Cycle 1: the sum, exact.
        e = Signal(signed(cfg.fmt.score.width + 1), reset_less=True)
        m.d.sync += e.eq(self.s1 + self.s2)

        # Cycle 2: the table, and beside it the place counted from the lowest one, `below`.
        i = e[cfg.exp_index:].as_signed()
        table = Array(Const(int(v), mantissa) for v in cfg.exp_table)
        entry = Signal(mantissa, reset_less=True)
        place = Signal(range(above + below + 1), reset_less=True)
        over = Signal(reset_less=True)
        m.d.sync += [entry.eq(table[e[:cfg.exp_index]]),
                     place.eq(Mux(i < -(below + point), 0, i + (below + point))),
                     over.eq(i > above - point)]

        # Cycle 3: the shift. Of the places below the point only the first matters.
        shifted = Signal(prob.width + 1, reset_less=True)
        m.d.sync += shifted.eq((entry << place)[below - 1:])

        # Cycle 4: the rounding. It carries only after right shifts: past prob.max only where prob
        # is narrower than an entry.
        en = delay(m, self.en, 3, reset=True, name="en")
        rounded, too_large = Signal(prob.width + 1), Signal()
        m.d.comb += [rounded.eq(shifted[1:] + shifted[0]),
                     too_large.eq(delay(m, over, 1, name="over") | rounded[prob.width])]
        with m.If(~en):
            m.d.sync += self.p.eq(0)
        with m.Elif(too_large):
            m.d.sync += self.p.eq(prob.max)
        with m.Else():
            m.d.sync += self.p.eq(rounded)
        m.d.sync += self.saturated.eq(too_large & en)
        return m
