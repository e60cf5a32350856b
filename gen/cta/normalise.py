"""AP of one query as the systolic array takes it: even plus odd, scaled to the row (CTA, eq 8)."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.fixed import leading_one, shape
from model.cta.config import CTAConfig

__all__ = ["Normalise"]


class Normalise(wiring.Component):
    """Adds the even and the odd sum of a query and scales them to the array's operand.

        ap = min(round_half_up(even + odd, sh), ap.max), sh = max(0, bit_length(max) + 1 - ap.width)

    A row of AP may be scaled freely, since the division by its sum undoes it; a power of two that
    fills the array's operand loses least. Entries only grow, so the bit length of the largest is
    that of the OR of all values ever written, and no maximum is searched. Entries below
    2**(ap.width-1) shift by nothing, so only the bits above take part.

    Timing: ``grown`` is collected in each cycle. ``capture`` in cycle c sets the shift, valid from
    c+1 on, from all that was collected before c, and starts afresh. ``even, odd`` in cycle c give
    ``ap`` in c + ``LATENCY``, with the shift as it is in c+2. Of two banks each has a shift; ``half`` and
    ``reads`` name theirs with ``capture`` and with ``en``. There is no back-pressure.

    Numerics: golden ``model.cta.probability.normalise``.

    Source: Sec. III-C, eq. 8. The paper does not state the width of AP; docs/numerics.md measures
    it.

    Members
    -------
    grown : OR of the bank values that are written in this cycle. Format ``cfg.ap_bank``.
    capture : The shift of the batch is set from what was collected.
    half : The bank whose shift is set, of two.
    reads : The bank that is read, of two.
    en : ``even`` and ``odd`` count; where it is low, ``ap`` is 0.
    even : Sum over the even tokens. Format ``cfg.ap_bank``.
    odd : Sum over the odd tokens. Format ``cfg.ap_bank``.
    ap : Aggregated probability, ``LATENCY`` cycles later. Format ``fmt.ap``.
    """

    LATENCY = 4
    module_name = "cta_normalise"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        bank = shape(cfg.ap_bank)
        super().__init__({"grown": In(bank), "capture": In(1),
                          **({"half": In(1), "reads": In(1)} if cfg.aps == 2 else {}),
                          "en": In(1), "even": In(bank), "odd": In(bank),
                          "ap": Out(shape(cfg.fmt.ap))})

    def elaborate(self, platform):
        m = Module()
        cfg, ap = self.cfg, self.cfg.fmt.ap

        # bit_length(v) + 1 - ap.width is 0 or less unless one of these bits is set.
        high = self.grown[ap.width - 1:]
        seen = Signal(len(high))
        shifts = [Signal(range(len(high) + 1), name=f"shift_{h}") for h in range(cfg.aps)]
        m.d.sync += seen.eq(seen | high)
        with m.If(self.capture):
            m.d.sync += seen.eq(0)
            for h, shift in enumerate(shifts):
                with m.If(self.half == h if cfg.aps == 2 else 1):
                    m.d.sync += shift.eq(Mux(seen.any(), leading_one(seen) + 1, 0))
        shift = shifts[0] if cfg.aps == 1 else Mux(delay(m, self.reads, 2), shifts[1], shifts[0])

        # Cycle 1: both banks. Cycle 2: the sum. Cycle 3: the shift, one place below the point
        # kept. Cycle 4: the rounding, which may carry into one bit more.
        even = delay(m, self.even, 1, name="even")
        odd = delay(m, self.odd, 1, name="odd")
        total = Signal(cfg.ap_bank.width + 1, reset_less=True)
        shifted = Signal(ap.width + 1, reset_less=True)
        rounded = Signal(ap.width + 1)
        en = delay(m, self.en, 3, reset=True, name="en")
        m.d.sync += [total.eq(even + odd), shifted.eq((total << 1) >> shift)]
        m.d.comb += rounded.eq(shifted[1:] + shifted[0])
        with m.If(~en):
            m.d.sync += self.ap.eq(0)
        with m.Elif(rounded[ap.width]):
            m.d.sync += self.ap.eq(ap.max)
        with m.Else():
            m.d.sync += self.ap.eq(rounded)
        return m
