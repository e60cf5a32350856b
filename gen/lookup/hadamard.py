"""Hadamard: it transforms a stream of frames."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM
from gen.blocks.pipeline import delay
from gen.emit import place
from gen.fixed import shape
from model.fixed import clog2
from model.lookup.config import LookupConfig
from model.lookup.timing import SRAM_BEATS, delay_levels, z_lanes

__all__ = ["Hadamard", "ButterflyLevel"]


class ButterflyLevel(wiring.Component):
    """A butterfly level whose partners come ``half`` beats apart.

    The first half of 2*half beats is stored. While the second half comes, sums leave and
    differences take the place of what they were formed from. Then the differences leave, a beat a
    cycle, and the next frame may move in behind them.

    Timing: the sum of beats k and k + half leaves one cycle after beat k + half (two where the
    store is an SRAM), the differences from the cycle after the last sum. Any gaps between beats; no
    back-pressure.

    Numerics: exact, one bit more out than in.

    Source: the radix-2 butterfly of eq. 11's H, streamed.

    Members
    -------
    valid : There is a beat.
    i[lanes] : Elements of the beat, ``width`` bits each.
    o_valid : A beat of results leaves.
    o[lanes] : Elements of the beat of results, one bit more.
    """

    def __init__(self, *, lanes: int, half: int, width: int):
        self.lanes, self.half, self.width = lanes, half, width
        super().__init__({"valid": In(1), "i": In(signed(width)).array(lanes),
                          "o_valid": Out(1), "o": Out(signed(width + 1)).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        half, wide = self.half, signed(self.width + 1)

        # Cycle c: which beat this is, what is read.
        at, leave = Signal(range(max(2, half))), Signal(range(max(2, half)))
        second, leaving, read_at = Signal(), Signal(), Signal(range(max(2, half)))
        m.d.comb += read_at.eq(Mux(leaving, leave, at))
        with m.If(leaving):
            m.d.sync += [leave.eq(leave + 1), leaving.eq(leave != half - 1)]
        with m.If(self.valid):
            m.d.sync += at.eq(at + 1)
            with m.If(at == half - 1):
                m.d.sync += [at.eq(0), second.eq(~second)]
                with m.If(second):
                    m.d.sync += [leaving.eq(1), leave.eq(0)]

        # Where the store is an SRAM, cycle c+1.
        sram = half >= SRAM_BEATS
        now = [delay(m, value, int(sram), name=name, reset=name in ("pair", "old", "valid"))
               for name, value in (("valid", self.valid), ("pair", self.valid & second),
                                   ("old", leaving), ("where", at), ("beat", Cat(self.i)))]
        valid, pair, old, where, beat = now
        stored, write = Signal(self.lanes * (self.width + 1)), Signal.like(Cat(self.o))
        if sram:
            m.submodules.store = store = SRAM(width=len(stored), depth=half)
            m.d.comb += [store.w_en.eq(valid), store.w_addr.eq(where), store.w_data.eq(write),
                         store.r_en.eq(leaving | (self.valid & second)),
                         store.r_addr.eq(read_at), stored.eq(store.r_data)]
        else:
            words = Array(Signal.like(write, name=f"word_{k}", reset_less=True)
                          for k in range(half))
            m.d.comb += stored.eq(words[read_at])
            with m.If(valid):
                m.d.sync += words[where].eq(write)

        # Sums and old differences go out, first halves and new differences in.
        results, keep = [], []
        for lane in range(self.lanes):
            a, b = Signal(wide, name=f"a_{lane}"), Signal(signed(self.width), name=f"b_{lane}")
            m.d.comb += [a.eq(stored.word_select(lane, self.width + 1)),
                         b.eq(beat.word_select(lane, self.width))]
            total, difference = Signal(wide, name=f"sum_{lane}"), Signal(wide, name=f"dif_{lane}")
            m.d.comb += [total.eq(a + b), difference.eq(a - b)]
            results.append(Mux(pair, total, a))
            kept = Signal(wide, name=f"keep_{lane}")
            m.d.comb += kept.eq(Mux(pair, difference, b))
            keep.append(kept)
        m.d.comb += write.eq(Cat(keep))
        m.d.sync += [self.o_valid.eq(pair | old),
                     *(to.eq(by) for to, by in zip(self.o, results))]
        return m


class Hadamard(wiring.Component):
    """The transform y = H u of frames of n elements, z_lanes a beat, in natural order.

    It is not normalised.

    It is a streaming radix-2 network of log2(n) butterfly levels, which commute. First come those
    whose partners lie in different beats, the farthest first, for the widest delays then hold the
    narrowest words. Then come those between the lanes of a beat. A level has one adder and one
    subtractor a lane. A network over all n at once would be n/z_lanes times as wide as what the
    multipliers feed.

    Timing: beat k of a frame without gaps leaves ``model.lookup.timing.hadamard_latency`` cycles
    after it came. A frame may come with any gaps and in the cycle after the last. No back-pressure.
    Reset forgets the frames under way.

    Numerics: exact, a bit more a level (:attr:`LookupConfig.hadamard`). Golden
    ``model.lookup.bh4.hadamard``.

    Source: eq. 11; the authors' code and the paper do not say how.

    Members
    -------
    valid : There is a beat of a frame.
    i[z_lanes] : Elements of the frame's beat. Format ``fmt.stage``.
    o_valid : A beat of a transform leaves.
    o[z_lanes] : Elements of the transform's beat. Format ``cfg.hadamard``.
    """

    module_name = "lookup_hadamard"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        lanes = z_lanes(cfg)
        super().__init__({
            "valid": In(1), "i": In(shape(cfg.fmt.stage)).array(lanes),
            "o_valid": Out(1), "o": Out(shape(cfg.hadamard)).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        lanes, width = z_lanes(self.cfg), self.cfg.fmt.stage.width
        valid, values = self.valid, list(self.i)
        for half in delay_levels(self.cfg):
            level = ButterflyLevel(lanes=lanes, half=half, width=width)
            m.submodules[f"level_{half}"] = place(platform, level)
            m.d.comb += [level.valid.eq(valid),
                         *(to.eq(by) for to, by in zip(level.i, values))]
            valid, values, width = level.o_valid, list(level.o), width + 1
        for half in (1 << level for level in reversed(range(clog2(lanes)))):
            width += 1
            out = [Signal(signed(width), name=f"across_{half}_{lane}", reset_less=True)
                   for lane in range(lanes)]
            for lane in range(lanes):
                a, b = values[lane & ~half], values[lane | half]
                m.d.sync += out[lane].eq(a - b if lane & half else a + b)
            valid, values = delay(m, valid, 1, name=f"across_{half}", reset=True), out
        m.d.comb += [self.o_valid.eq(valid), *(to.eq(by) for to, by in zip(self.o, values))]
        return m
