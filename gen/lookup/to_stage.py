"""ToStage: it rounds exact sums to the stage format."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.fixed import floor_and_half, popcount, saturate, shape
from model.fixed import SHIFT
from model.lookup.config import LookupConfig
from model.lookup.timing import ROUNDING, z_lanes

__all__ = ["ToStage"]


class ToStage(wiring.Component):
    """z_lanes sums shifted, rounded half up and saturated to the stage format.

    Timing: results come ``model.lookup.timing.ROUNDING`` cycles after their sums, and ``sat`` one
    later. The shift is taken with the sums. A beat a cycle, no back-pressure.

    Numerics: golden ``model.lookup.bh4.to_stage``.

    Source: ours; the paper computes in floating point.

    Members
    -------
    valid : There are sums.
    i[z_lanes] : Sums to round, exact.
    shift : Right shift of the sums, in the same cycle.
    o_valid : There are results.
    o[z_lanes] : Rounded sums. Format ``fmt.stage``.
    sat : Results of the cycle before that saturated.
    """

    def __init__(self, cfg: LookupConfig, fmt):
        self.cfg = cfg
        lanes, stage = z_lanes(cfg), shape(cfg.fmt.stage)
        super().__init__({"valid": In(1), "i": In(shape(fmt)).array(lanes),
                          "shift": In(SHIFT.width),
                          "o_valid": Out(1), "o": Out(stage).array(lanes),
                          "sat": Out(range(lanes + 1))})

    def elaborate(self, platform):
        m = Module()
        valid = delay(m, self.valid, ROUNDING, name="valid", reset=True)
        flags = []
        for k, (value, to) in enumerate(zip(self.i, self.o)):
            floor = Signal.like(value, name=f"floor_{k}", reset_less=True)
            half = Signal(name=f"half_{k}", reset_less=True)
            stage = Signal.like(to, name=f"stage_{k}", reset_less=True)
            moved = Signal(name=f"moved_{k}", reset_less=True)
            m.d.sync += [part.eq(by) for part, by in zip(
                (floor, half, stage, moved),
                (*floor_and_half(value, self.shift),
                 *saturate(self.rounded(floor, half), self.cfg.fmt.stage)))]
            m.d.comb += to.eq(stage)
            flags.append(moved & valid)
        m.d.comb += self.o_valid.eq(valid)
        m.d.sync += self.sat.eq(popcount(Cat(flags)))
        return m

    def rounded(self, floor, half):
        """The nearest value; a tie goes up."""
        return floor + half
