"""Frame tags: they tell the pipeline behind the multipliers what frames pass."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.blocks.shift_memory import ShiftMemory
from gen.emit import place
from model.fixed import SHIFT, clog2
from model.lookup.config import STAGES, LookupConfig
from model.lookup.layout import KIND, Parameter
from model.lookup.timing import beats, contexts, frames

__all__ = ["FrameTags"]


class FrameTags(wiring.Component):
    """Keeps shifts and context of each frame for the two places where a frame meets its shifts.

    Frames leave the pipeline in the order of issue, so their tags need not travel with the beats.
    They lie in a queue with two readers, each of which steps on after the beats of a frame.

    Timing: shifts, ``ctx`` and ``final`` belong to the beat that is in front of their reader in
    this cycle, and come from registers. There is no back-pressure: as many tags fit as frames are
    under way.

    Source: ours.

    Members
    -------
    go : A frame is issued.
    issue_ctx : Context of that frame.
    issue_final : The frame issued is a last stage.
    row : Stage and copy of the frame issued, 4*copy + stage.
    block_beat : A beat reaches the rounding of block products.
    block_shift : Right shift of that beat.
    beat : A beat reaches the rounding of transforms.
    shift : Right shift of that beat.
    ctx : Context of that beat.
    final : The beat is of a last stage.
    word : Number of the beat in its frame.
    p_en : A shift is written.
    p_addr : Address of the write. As :class:`model.lookup.layout.Parameter` counts them.
    p_data : The shift.
    """

    module_name = "lookup_frame_tags"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        ctx = range(max(2, contexts(cfg)))
        super().__init__({
            "go": In(1), "issue_ctx": In(ctx), "issue_final": In(1), "row": In(range(frames(cfg))),
            "block_beat": In(1), "block_shift": Out(SHIFT.width),
            "beat": In(1), "shift": Out(SHIFT.width), "ctx": Out(ctx), "final": Out(1),
            "word": Out(range(max(2, beats(cfg)))),
            "p_en": In(1), "p_addr": In(16), "p_data": In(SHIFT.width)})

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg

        # The shifts of a frame are read as it is issued.
        tag = data.StructLayout({"block": 5, "hadamard": 5, "ctx": len(self.ctx), "final": 1})
        new = Signal(tag)
        for name, base in (("block", Parameter.BLOCK), ("hadamard", Parameter.HADAMARD)):
            shifts = ShiftMemory(width=SHIFT.width, kind=KIND, base=base, depth=cfg.copies * STAGES)
            m.submodules[name] = place(platform, shifts)
            m.d.comb += [
                shifts.p_en.eq(self.p_en), shifts.p_addr.eq(self.p_addr),
                shifts.p_data.eq(self.p_data), shifts.r_en.eq(self.go),
                shifts.r_addr.eq(self.row), new[name].eq(shifts.r_data)]
        m.d.comb += [new.ctx.eq(delay(m, self.issue_ctx, 1)),
                     new.final.eq(delay(m, self.issue_final, 1))]

        # No more frames are under way than contexts, those that end meanwhile, and one at each end.
        depth = 1 << clog2(contexts(cfg) + 3)
        tags = Array(Signal(tag, name=f"tag_{k}", reset_less=True) for k in range(depth))
        tail = Signal(range(depth))
        with m.If(delay(m, self.go, 1, name="put", reset=True)):
            m.d.sync += [tags[tail].eq(new), tail.eq(tail + 1)]

        def reader(name, beat):
            """The tag of the frame in front, from a register, and the number of the beat."""
            head, word = Signal(range(depth), name=f"{name}_head"), Signal.like(self.word)
            front, following = Signal(tag, name=f"{name}_tag"), Signal.like(head)
            ends = beat & (word == beats(cfg) - 1)
            m.d.comb += following.eq(head + ends)
            m.d.sync += [head.eq(following), front.eq(tags[following])]
            with m.If(beat):
                m.d.sync += word.eq(Mux(ends, 0, word + 1))
            return front, word

        front, _ = reader("block", self.block_beat)
        m.d.comb += self.block_shift.eq(front.block)
        front, word = reader("hadamard", self.beat)
        m.d.comb += [self.shift.eq(front.hadamard), self.ctx.eq(front.ctx),
                     self.final.eq(front.final), self.word.eq(word)]
        return m
