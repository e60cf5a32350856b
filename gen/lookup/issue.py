"""Issue: it decides what the multipliers do next."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from model.fixed import clog2
from model.lookup.config import STAGES, LookupConfig
from model.lookup.timing import beats, contexts, frame_cycles, frames, outputs, steps, token_slots
from model.lookup.weight_layout import weight_words

__all__ = ["StageIssue", "GroupIssue", "Step"]


class Step(data.StructLayout):
    """What the multipliers do in one cycle.

    ``first``, ``last``: a group begins, ends. The inputs are word ``word``, and the weights word
    ``weight``. BH4: ``fresh`` inputs are x of token buffer slot ``slot``, others are stages of
    context ``ctx``.
    """

    def __init__(self, cfg: LookupConfig):
        super().__init__({
            "valid": 1, "first": 1, "last": 1, "fresh": 1, "slot": range(token_slots(cfg)),
            "ctx": range(max(2, contexts(cfg))), "word": range(max(2, beats(cfg))),
            "weight": range(max(2, weight_words(cfg)))})


class StageIssue(wiring.Component):
    """Issues frames of BH4: stage after stage of ``contexts`` copies of tokens in turn.

    A copy of a token takes a context and goes through its four stages there. The contexts are
    looked at in turn. A free one takes the next copy, or is passed by if no token waits. One whose
    last stage is not back yet is waited for; the last stage also waits for its place in the queue
    of z. So copies end in the order in which they began, and frames leave the pipeline in the order
    of issue. There are as many contexts as keep the multipliers busy with no cycle between frames.

    Timing: ``go`` comes in one cycle, the first step of the frame in the next. A stage can go in
    the cycle after the last has been marked ``ready``.

    Source: Sec. 3.2, eq. 11 for the four stages; the order is ours.

    Members
    -------
    waiting : A token is there that is not yet taken.
    slot : Slot of that token.
    take : All its copies are taken now.
    ready : The stage of a context is back.
    ready_ctx : Context whose stage is back.
    open : The queue of z has a place for a frame.
    reserve : The place in the queue of z is used.
    go : A frame is issued.
    ctx : Context of that frame.
    final : The frame issued is a last stage.
    row : Stage and copy of the frame issued, 4*copy + stage.
    step : What the memories read in this cycle.
    """

    module_name = "lookup_stage_issue"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        ctx = range(max(2, contexts(cfg)))
        super().__init__({
            "waiting": In(1), "slot": In(range(token_slots(cfg))), "take": Out(1),
            "ready": In(1), "ready_ctx": In(ctx), "open": In(1), "reserve": Out(1),
            "go": Out(1), "ctx": Out(ctx), "final": Out(1), "row": Out(range(frames(cfg))),
            "step": Out(Step(cfg))})

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        count, cycles = contexts(cfg), frame_cycles(cfg)
        held, ready = Signal(count), Signal(count)
        stages = Array(Signal(range(STAGES), name=f"stage_{k}") for k in range(count))
        copies = Array(Signal(range(max(2, cfg.copies)), name=f"copy_{k}") for k in range(count))
        ctx, next_copy = self.ctx, Signal(range(max(2, cfg.copies)))
        at, running = Signal(range(max(2, cycles))), Signal()
        ends, here, may, turn = Signal(), Signal(), Signal(), Signal()
        stage, copy = Signal(range(STAGES)), Signal.like(next_copy)

        # The decision, in the last cycle of a frame or without one.
        last_copy = next_copy == cfg.copies - 1
        m.d.comb += [
            ends.eq(~running | (at == cycles - 1)), here.eq(held.bit_select(ctx, 1)),
            stage.eq(Mux(here, stages[ctx], 0)), copy.eq(Mux(here, copies[ctx], next_copy)),
            self.final.eq(stage == STAGES - 1),
            may.eq(Mux(here, ready.bit_select(ctx, 1) & (self.open | ~self.final), self.waiting)),
            self.go.eq(ends & may), turn.eq(ends & (may | ~here)),
            self.take.eq(self.go & ~here & last_copy), self.reserve.eq(self.go & self.final),
            self.row.eq(Cat(stage, copy))]
        with m.If(turn):
            m.d.sync += ctx.eq(Mux(ctx == count - 1, 0, ctx + 1))
        with m.If(self.ready):
            m.d.sync += ready.bit_select(self.ready_ctx, 1).eq(1)
        with m.If(self.go):
            m.d.sync += [held.bit_select(ctx, 1).eq(~self.final), stages[ctx].eq(stage + 1),
                         ready.bit_select(ctx, 1).eq(0), copies[ctx].eq(copy)]
            with m.If(~here):
                m.d.sync += next_copy.eq(Mux(last_copy, 0, next_copy + 1))

        # The frame. Where a block has more results than there are sums, its inputs come again.
        step, low = self.step, clog2(steps(cfg))
        again = clog2(cfg.block // outputs(cfg))
        row = Signal.like(self.row)
        m.d.comb += [
            step.valid.eq(running), step.first.eq(~at[:low].any()), step.last.eq(at[:low].all()),
            step.word.eq(Cat(at[:low], at[low + again:])),
            step.weight.eq(Cat(at[:clog2(cycles)], row))]
        with m.If(ends):
            m.d.sync += [running.eq(self.go), at.eq(0)]
        with m.Else():
            m.d.sync += at.eq(at + 1)
        with m.If(self.go):
            m.d.sync += [row.eq(self.row), step.fresh.eq(~here), step.slot.eq(self.slot),
                         step.ctx.eq(ctx)]
        return m


class GroupIssue(wiring.Component):
    """Issues frames of a dense projection: a group of results after the other, token by token.

    Timing: a frame's first step comes in the cycle after it is decided on. The multipliers pause
    only where no token waits or z is not taken.

    Source: ours.

    Members
    -------
    waiting : A token is there that is not yet taken.
    slot : Slot of that token.
    take : All its groups are taken now.
    open : The queue of z has a place for a frame.
    reserve : The place in the queue of z is used.
    release : The last inputs of a token are read; its slot is free.
    step : What the memories read in this cycle.
    """

    module_name = "lookup_group_issue"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        super().__init__({
            "waiting": In(1), "slot": In(range(token_slots(cfg))), "take": Out(1),
            "open": In(1), "reserve": Out(1), "release": Out(1), "step": Out(Step(cfg))})

    def elaborate(self, platform):
        m = Module()
        cfg, step = self.cfg, self.step
        group = Signal(range(max(2, frames(cfg))))
        at, running, final = Signal(range(max(2, steps(cfg)))), Signal(), Signal()
        ends, go, last_group = Signal(), Signal(), group == frames(cfg) - 1
        m.d.comb += [
            ends.eq(~running | (at == steps(cfg) - 1)), go.eq(ends & self.waiting & self.open),
            self.reserve.eq(go), self.take.eq(go & last_group),
            self.release.eq(running & final & step.last),
            step.valid.eq(running), step.fresh.eq(1), step.first.eq(at == 0),
            step.last.eq(at == steps(cfg) - 1), step.word.eq(at)]
        with m.If(ends):
            m.d.sync += [running.eq(go), at.eq(0)]
        with m.Else():
            m.d.sync += at.eq(at + 1)
        with m.If(running):
            m.d.sync += step.weight.eq(Mux(self.release, 0, step.weight + 1))
        with m.If(go):
            m.d.sync += [group.eq(Mux(last_group, 0, group + 1)), final.eq(last_group),
                         step.slot.eq(self.slot)]
        return m
