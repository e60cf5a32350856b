"""Gather output: it makes y of complete sums."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM
from gen.blocks.outlet import Outlet
from gen.blocks.pipeline import delay, stages
from gen.emit import place
from gen.fixed import floor_and_half, popcount, saturate, shape
from gen.lookup.gather_accumulate import word_width
from gen.lookup.row_walk import batch_size
from model.fixed import SHIFT, clog2
from model.lookup.config import LookupConfig
from model.lookup.layout import HOST_LANES
from model.lookup.timing import OUTPUT_STAGES

__all__ = ["GatherOutput", "y_layout", "residual_layout"]


def y_layout(cfg: LookupConfig):
    """A beat of y, and whether it is the last of its token."""
    return data.StructLayout({"y": data.ArrayLayout(shape(cfg.fmt.output), HOST_LANES), "last": 1})


def residual_layout(cfg: LookupConfig):
    """A beat of the residual."""
    return data.ArrayLayout(shape(cfg.fmt.output), HOST_LANES)


class GatherOutput(wiring.Component):
    """The sum y = saturate(round_half_up(acc + bias, shift_y) + residual), eight elements a beat.

    Takes the sums of a token out of the bank that ``full`` marks, those of a batch out of both in
    turn, and gives the banks back (``clear``). Words wider than a beat are taken once and cut,
    narrower ones put together.

    Timing: the first beat is offered ``OUTPUT_STAGES`` + 1 cycles after its last word was taken,
    then a beat a cycle, or a word a cycle where words are narrower. Nothing is taken while the
    stream has no room for what is under way.

    Numerics: golden ``model.lookup.gather.gather``.

    Source: Sec. 3.1, eq. 7 for the sum; bias and residual are of the layer around it.

    Members
    -------
    start : A job begins.
    order : The job is table-major, else token-major. Stable while it runs.
    tokens : Tokens of the job. Read with ``start``.
    shift_y : Right shift of the sums. Stable while the job runs.
    o_en : The bias of an element is written.
    o_addr : Element whose bias is written.
    o_data : Bias of that element. Format ``fmt.out_bias``.
    full : Banks whose sums are complete, a bit a bank.
    clear : Banks whose sums have been taken, a bit a bank, for one cycle.
    take : A word of sums is read.
    take_bank : Bank of that word.
    take_word : Number of that word.
    sums : Word of sums, one cycle after ``take``. Format ``cfg.gather_acc``.
    y : Stream of outputs, d/8 beats a token. Payload :func:`y_layout`.
    sat_output : Elements that saturated, as they are put on the stream.
    residual : Stream of residuals, d/8 beats a token. With ``cfg.residual`` only.
    """

    module_name = "lookup_gather_output"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        members = {
            "start": In(1), "order": In(1), "tokens": In(16), "shift_y": In(SHIFT.width),
            "o_en": In(1), "o_addr": In(range(cfg.d)), "o_data": In(cfg.fmt.out_bias.width),
            "full": In(2), "clear": Out(2),
            "take": Out(1), "take_bank": Out(1), "take_word": Out(word_width(cfg)),
            "sums": In(data.ArrayLayout(shape(cfg.gather_acc), cfg.lanes)),
            "y": Out(stream.Signature(y_layout(cfg))), "sat_output": Out(range(HOST_LANES + 1))}
        if cfg.residual:
            members["residual"] = In(stream.Signature(residual_layout(cfg)))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        cfg, lanes, bias_width = self.cfg, self.cfg.lanes, self.cfg.fmt.out_bias.width
        outlet = Outlet(y_layout(cfg), OUTPUT_STAGES + 2)
        m.submodules.outlet = place(platform, outlet)
        wiring.connect(m, outlet.o, wiring.flipped(self.y))
        parts, pieces = max(1, lanes // HOST_LANES), max(1, HOST_LANES // lanes)
        steps = cfg.d // HOST_LANES * pieces
        inside = clog2(parts * pieces)        # low bits of a step: part of a word, or of a beat

        # Cycle 0: which word. Tokens inside, batches outside.
        left, token = Signal(16), Signal(range(max(2, cfg.batch)))
        at, bank, base = Signal(range(max(2, steps))), Signal(), Signal.like(self.take_word)
        size = batch_size(cfg, self.order, left)
        whole, last, go, ends = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            whole.eq(at[:inside] == pieces - 1 if pieces > 1 else 1), last.eq(at == steps - 1),
            ends.eq(go & last & (token + 1 == size)),
            self.take.eq(go & (at[:inside] == 0 if parts > 1 else 1)), self.take_bank.eq(bank),
            self.take_word.eq(base + (at >> inside if parts > 1 else at)),
            outlet.start.eq(go & whole), self.clear.eq(Mux(ends, Mux(self.order, 3, 1 << bank), 0))]
        may = self.full.bit_select(bank, 1) & outlet.open
        if cfg.residual:
            m.d.comb += [go.eq(may & (self.residual.valid | ~whole)),
                         self.residual.ready.eq(may & whole)]
        else:
            m.d.comb += go.eq(may)
        with m.If(go):
            m.d.sync += at.eq(at + 1)
            with m.If(last):
                m.d.sync += [at.eq(0), token.eq(token + 1), bank.eq(~bank)]
                with m.If(self.order & bank):
                    m.d.sync += base.eq(base + cfg.row_beats)
        with m.If(ends):
            m.d.sync += [token.eq(0), base.eq(0), left.eq(left - size)]
            with m.If(self.order):
                m.d.sync += bank.eq(0)
        with m.If(self.start):
            m.d.sync += [left.eq(self.tokens), *(each.eq(0) for each in (at, token, bank, base))]

        # Cycle 1: eight sums, cut from a word or put together.
        step = stages(m, go, 1, reset=True, name="go")[1]
        put = stages(m, go & whole, OUTPUT_STAGES, reset=True, name="put")
        chosen = Signal(HOST_LANES * cfg.gather_acc.width, reset_less=True)
        sums = self.sums.as_value()
        part = delay(m, at[:inside], 1, name="part")
        with m.If(step):
            if pieces > 1:
                m.d.sync += chosen.eq(Cat(chosen[len(sums):], sums))
            else:
                m.d.sync += chosen.eq(sums.word_select(part, len(chosen)) if parts > 1 else sums)
        beat = delay(m, at >> clog2(pieces), 1, name="beat")

        # Cycle 2: the bias. Cycle 3: the shift. Cycle 4: rounding, residual, saturation.
        item = outlet.item
        moved = []
        if cfg.residual:
            residual = delay(m, self.residual.payload.as_value(), OUTPUT_STAGES, name="residual")
        for i in range(HOST_LANES):
            m.submodules[f"bias_{i}"] = sram = SRAM(width=bias_width, depth=cfg.d // HOST_LANES)
            m.d.comb += [
                sram.r_en.eq(put[1]), sram.r_addr.eq(beat), sram.w_data.eq(self.o_data),
                sram.w_en.eq(self.o_en & (self.o_addr % HOST_LANES == i)),
                sram.w_addr.eq(self.o_addr // HOST_LANES)]
            value = chosen.word_select(i, cfg.gather_acc.width).as_signed()
            biased = Signal(shape(cfg.gather_acc), name=f"biased_{i}", reset_less=True)
            m.d.sync += biased.eq(value + sram.r_data.as_signed())
            floor, half = floor_and_half(biased, self.shift_y)
            whole_y = Signal(floor.shape(), name=f"floor_{i}", reset_less=True)
            carry = Signal(name=f"half_{i}", reset_less=True)
            m.d.sync += [whole_y.eq(floor), carry.eq(half)]
            y = whole_y + carry
            if cfg.residual:
                y = y + residual.word_select(i, cfg.fmt.output.width).as_signed()
            y, over = saturate(y, cfg.fmt.output)
            m.d.comb += item.y[i].eq(y)
            moved.append(over)
        ended = delay(m, last, OUTPUT_STAGES, name="last")
        m.d.comb += [outlet.put.eq(put[-1]), item.last.eq(ended),
                     self.sat_output.eq(Mux(put[-1], popcount(Cat(moved)), 0))]
        return m
