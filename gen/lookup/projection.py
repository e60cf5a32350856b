"""Projection: it turns tokens into soft codes, by BH4 or by a dense matrix."""

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.beat_memory import BeatMemory
from gen.blocks.memory import SRAM
from gen.blocks.pipeline import delay
from gen.emit import place
from gen.fixed import shape
from gen.lookup.block_diagonal import BlockDiagonal
from gen.lookup.frame_tags import FrameTags
from gen.lookup.grouping import z_layout
from gen.lookup.hadamard import Hadamard
from gen.lookup.issue import GroupIssue, StageIssue
from gen.lookup.soft_code import SoftCode
from gen.lookup.to_stage import ToStage
from gen.lookup.token_buffer import TokenBuffer
from gen.lookup.z_queue import ZQueue
from model.fixed import SHIFT
from model.lookup.config import LookupConfig
from model.lookup.layout import ELEMENT_WIDTH, HOST_LANES
from model.lookup.timing import ROUNDING, beats, contexts, z_lanes
from model.lookup.weight_layout import weight_beats, weight_words

__all__ = ["Projection"]


class Projection(wiring.Component):
    """The soft code z = gain * (H B3 H B2 H B1 H B0 x) + skip * x + bias; or z = W x + bias.

    The first is BH4, of each copy; the second a dense projection.

    All copies of several tokens are in flight: while a stage of one streams through the Hadamard
    network, the multipliers serve the next (:class:`StageIssue`). From the multipliers on a frame
    moves without a stop, so one network serves all stages. A queue in front of z takes up its
    stalls.

    Timing: a token every ``model.lookup.timing.projection_interval`` cycles in steady state, in
    which the multipliers are busy in every cycle unless x comes too slowly. Tokens wait at x while
    the buffer is full. Reset forgets all tokens, but not weights, shifts and biases; these are
    written while no token is inside.

    Numerics: golden ``model.lookup.bh4.project``, saturations included.

    Source: Sec. 3.2, eq. 11; the architecture is ours.

    Members
    -------
    x : Stream of tokens, d/8 beats each. Format ``fmt.x``, eight elements, the first lowest.
    z : Stream of soft codes, ``z_beats`` each; elements beyond h*tau are 0.
        Payload :func:`gen.lookup.grouping.z_layout`.
    w_en : A beat of weights is written.
    w_addr : Number of that beat. In the order of ``model.lookup.weight_layout.weight_order``.
    w_data : Beat of weights: eight elements of 16 bits, the first lowest.
    p_en : A shift is written.
    p_addr : Address of the write. As :class:`model.lookup.layout.Parameter` counts them.
    p_data : The shift, in its low 5 bits.
    b_en : The bias of an element of z is written.
    b_addr : Element of z whose bias is written.
    b_data : Bias of that element, in the low bits. Format ``fmt.z_bias``.
    gain : Factor of the transform, of the job; unused if dense. Format ``fmt.mix``.
    skip : Factor of x, of the job; unused if dense. Format ``fmt.mix``.
    shift_skip : Right shift of the product with ``skip``, of the job; unused if dense.
    sat_block : Block products that saturated in this cycle.
    sat_hadamard : Elements of transforms that saturated in this cycle.
    sat_z : Elements of z that saturated in this cycle.
    busy : A token is inside.
    """

    module_name = "lookup_projection"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        f, lanes = cfg.fmt, z_lanes(cfg)
        super().__init__({
            "x": In(stream.Signature(data.ArrayLayout(shape(f.x), HOST_LANES))),
            "z": Out(stream.Signature(z_layout(cfg))),
            "w_en": In(1), "w_addr": In(range(max(2, weight_beats(cfg)))),
            "w_data": In(HOST_LANES * ELEMENT_WIDTH),
            "p_en": In(1), "p_addr": In(16), "p_data": In(32),
            "b_en": In(1), "b_addr": In(16), "b_data": In(32),
            "gain": In(shape(f.mix)), "skip": In(shape(f.mix)), "shift_skip": In(SHIFT.width),
            "sat_block": Out(range(lanes + 1)), "sat_hadamard": Out(range(lanes + 1)),
            "sat_z": Out(range(lanes + 1)), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg

        def add(name, component):
            m.submodules[name] = place(platform, component)
            return component

        buffer = add("token_buffer", TokenBuffer(cfg))
        weights = add("weights", BeatMemory(
            fmt=cfg.fmt.weight, beat=HOST_LANES, lanes=cfg.multipliers, words=weight_words(cfg)))
        multipliers = add("block_diagonal", BlockDiagonal(cfg))
        code, queue = add("soft_code", SoftCode(cfg)), add("z_queue", ZQueue(cfg))
        issue = add("issue", (GroupIssue if cfg.projection == "dense" else StageIssue)(cfg))
        step = issue.step

        # Tokens and weights.
        wiring.connect(m, wiring.flipped(self.x), buffer.x)
        m.d.comb += [
            weights.w_en.eq(self.w_en), weights.w_addr.eq(self.w_addr),
            *(to.eq(self.w_data.word_select(k, ELEMENT_WIDTH))
              for k, to in enumerate(weights.w_data)),
            issue.waiting.eq(buffer.waiting), issue.slot.eq(buffer.slot),
            buffer.take.eq(issue.take), issue.open.eq(queue.open), queue.reserve.eq(issue.reserve)]

        # The memories read; a cycle later the multipliers take what they have read.
        m.d.comb += [
            buffer.r_en.eq(step.valid & step.fresh), buffer.r_slot.eq(step.slot),
            buffer.r_word.eq(step.word), weights.r_en.eq(step.valid),
            weights.r_addr.eq(step.weight),
            multipliers.valid.eq(delay(m, step.valid, 1, name="valid", reset=True)),
            multipliers.first.eq(delay(m, step.first, 1, name="first")),
            multipliers.last.eq(delay(m, step.last, 1, name="last")),
            *(to.eq(by) for to, by in zip(multipliers.w, weights.r_data))]
        if cfg.projection == "dense":
            m.d.comb += [
                *(to.eq(by) for to, by in zip(multipliers.x, buffer.r_data)),
                code.valid.eq(multipliers.o_valid),
                *(to.eq(by) for to, by in zip(code.i, multipliers.o)),
                buffer.release.eq(issue.release)]
        else:
            self._stages(m, add, issue, buffer, multipliers, code)

        # z, and what the host writes for it.
        m.d.comb += [
            queue.put.eq(code.put), queue.item.eq(code.item), queue.end.eq(code.end),
            code.p_en.eq(self.p_en), code.p_addr.eq(self.p_addr), code.p_data.eq(self.p_data),
            code.b_en.eq(self.b_en), code.b_addr.eq(self.b_addr), code.b_data.eq(self.b_data),
            self.sat_z.eq(code.sat), self.busy.eq(buffer.busy | queue.busy)]
        wiring.connect(m, queue.z, wiring.flipped(self.z))
        return m

    def _stages(self, m, add, issue, buffer, multipliers, code):
        """The ring of BH4: products, transform, and back to the multipliers or on to z."""
        cfg = self.cfg
        step, stage = issue.step, cfg.fmt.stage
        tags = add("frame_tags", FrameTags(cfg))
        hadamard = add("hadamard", Hadamard(cfg))
        to_hadamard = add("block_rounding", ToStage(cfg, cfg.block_acc))
        to_stage = add("hadamard_rounding", ToStage(cfg, cfg.hadamard))
        size = z_lanes(cfg) * stage.width
        ring = add("stage_memory", SRAM(width=size, depth=contexts(cfg) * beats(cfg)))

        # Inputs: x in the first stage, what the transform left in the others.
        word_bits = (beats(cfg) - 1).bit_length()
        fresh = delay(m, step.fresh, 1, name="fresh")
        m.d.comb += [
            ring.r_en.eq(step.valid & ~step.fresh),
            ring.r_addr.eq(Cat(step.word[:word_bits], step.ctx)),
            *(to.eq(Mux(fresh, x, ring.r_data.word_select(k, stage.width).as_signed()))
              for k, (to, x) in enumerate(zip(multipliers.x, buffer.r_data)))]

        # Products, rounding, transform, rounding.
        m.d.comb += [
            tags.go.eq(issue.go), tags.issue_ctx.eq(issue.ctx), tags.issue_final.eq(issue.final),
            tags.row.eq(issue.row), tags.p_en.eq(self.p_en), tags.p_addr.eq(self.p_addr),
            tags.p_data.eq(self.p_data),
            to_hadamard.valid.eq(multipliers.o_valid), tags.block_beat.eq(multipliers.o_valid),
            to_hadamard.shift.eq(tags.block_shift),
            *(to.eq(by) for to, by in zip(to_hadamard.i, multipliers.o)),
            hadamard.valid.eq(to_hadamard.o_valid),
            *(to.eq(by) for to, by in zip(hadamard.i, to_hadamard.o)),
            to_stage.valid.eq(hadamard.o_valid), tags.beat.eq(hadamard.o_valid),
            to_stage.shift.eq(tags.shift),
            *(to.eq(by) for to, by in zip(to_stage.i, hadamard.o)),
            self.sat_block.eq(to_hadamard.sat), self.sat_hadamard.eq(to_stage.sat)]

        # Back into the context, or out. The next stage may be issued one cycle ahead of the write
        # of the word from which it can follow without a stop.
        follows = 0 if cfg.multipliers >= cfg.block else beats(cfg) - 1
        ctx, final = (delay(m, value, ROUNDING - 1, name=name)
                      for name, value in (("ctx", tags.ctx), ("final", tags.final)))
        word = delay(m, tags.word, ROUNDING - 1, name="word")
        back = delay(m, hadamard.o_valid & ~tags.final, ROUNDING - 1, name="back", reset=True)
        m.d.comb += [
            issue.ready.eq(back & (word == follows)), issue.ready_ctx.eq(ctx),
            ring.w_en.eq(delay(m, back, 1, name="write", reset=True)),
            ring.w_addr.eq(delay(m, Cat(word[:word_bits], ctx), 1, name="write_at")),
            ring.w_data.eq(Cat(to_stage.o)),
            code.valid.eq(to_stage.o_valid & delay(m, final, 1)),
            *(to.eq(by) for to, by in zip(code.i, to_stage.o)),
            code.gain.eq(self.gain), code.skip.eq(self.skip),
            code.shift_skip.eq(self.shift_skip),
            buffer.q_en.eq(code.q_en), buffer.q_slot.eq(code.q_slot),
            buffer.q_word.eq(code.q_word), buffer.release.eq(code.done),
            *(to.eq(by) for to, by in zip(code.q_data, buffer.q_data))]
