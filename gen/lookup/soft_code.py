"""Soft code: it makes z of the results of the last stage."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM
from gen.blocks.pipeline import delay
from gen.blocks.shift_memory import ShiftMemory
from gen.emit import place
from gen.fixed import floor_and_half, popcount, round_half_up, saturate, shape
from gen.lookup.grouping import z_layout
from model.fixed import SHIFT, clog2
from model.lookup.config import LookupConfig
from model.lookup.layout import KIND, Parameter
from model.lookup.timing import beats, code_latency, frame_beats, frames, token_slots, z_beats, z_lanes

__all__ = ["SoftCode"]

QUEUE = 2      # cycles of code_latency that are the queue's


class SoftCode(wiring.Component):
    """The sum z = gain * y + skip * x + bias, rounded and saturated; dense: z = y + bias.

    Last stages come in the order of tokens and copies, so one counter over the beats of a token
    tells copy, place in x and place in the bias, and what lies beyond h*tau and is dropped.

    Timing: ``item`` with ``put`` follows ``valid`` by ``code_latency`` less the queue's two cycles,
    ``sat`` one later. ``q_data`` answers ``q_en`` in the next cycle. No back-pressure.

    Numerics: each product is rounded to the grid of the bias on its own, the sum once more to z.
    Golden ``model.lookup.bh4.project``.

    Source: eq. 11; the skip is in the authors' code only.

    Members
    -------
    valid : There is a beat of a last stage.
    i[min(z_lanes, codes)] : Elements of the beat, of the lanes that are ever a code.
        Format ``fmt.stage``; dense ``cfg.block_acc``.
    put : A beat of z is put in the queue.
    item : Beat of z, with ``put``. Layout :func:`gen.lookup.grouping.z_layout`.
    end : The beat of z is the last of its frame.
    done : The x of a token is no longer needed.
    sat : Elements of the beat before that saturated.
    p_en : A shift is written.
    p_addr : Address of the shift written. As :class:`model.lookup.layout.Parameter` counts them.
    p_data : The shift.
    b_en : The bias of an element is written.
    b_addr : Element of z whose bias is written.
    b_data : Bias of that element. Format ``fmt.z_bias``.
    gain : Factor of the transform, of the job. Format ``fmt.mix``; BH4 only, and so is what
        follows.
    skip : Factor of x, of the job. Format ``fmt.mix``.
    shift_skip : Right shift of the product with ``skip``, of the job.
    q_en : A word of x is read from the token buffer.
    q_slot : Slot of its token.
    q_word : Number of the word.
    q_data[min(z_lanes, codes)] : Elements of x, one cycle after ``q_en``. Format ``fmt.x``.
    """

    module_name = "lookup_soft_code"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        f, lanes = cfg.fmt, min(z_lanes(cfg), cfg.codes)
        dense = cfg.projection == "dense"
        members = {
            "valid": In(1), "i": In(shape(cfg.block_acc if dense else f.stage)).array(lanes),
            "put": Out(1), "item": Out(z_layout(cfg)), "end": Out(1), "done": Out(1),
            "sat": Out(range(lanes + 1)),
            "p_en": In(1), "p_addr": In(16), "p_data": In(SHIFT.width),
            "b_en": In(1), "b_addr": In(16), "b_data": In(shape(f.z_bias))}
        if not dense:
            members |= {
                "gain": In(shape(f.mix)), "skip": In(shape(f.mix)), "shift_skip": In(SHIFT.width),
                "q_en": Out(1), "q_slot": Out(range(token_slots(cfg))),
                "q_word": Out(range(max(2, beats(cfg)))), "q_data": In(shape(f.x)).array(lanes)}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        dense = cfg.projection == "dense"
        way = code_latency(cfg) - QUEUE

        # Cycle 0: which beat of the token. All copies, or groups, are whole frames.
        total = frame_beats(cfg) * (frames(cfg) if dense else cfg.copies)
        at = Signal(range(max(2, total)))
        ends = at == total - 1
        with m.If(self.valid):
            m.d.sync += at.eq(Mux(ends, 0, at + 1))
        m.d.comb += self.done.eq(self.valid & ends)
        sums = self._dense(m, platform) if dense else self._bh4(m, platform, at)

        # Cycle way-2: the bias; way-1: rounding, saturation, and what lies beyond the codes.
        place_of = delay(m, at, way - 3, name="at")
        biases = self._biases(m, place_of)
        here = delay(m, place_of, 2, name="here")
        live = delay(m, self.valid, way - 1, name="live", reset=True) & (here < z_beats(cfg))
        put = delay(m, live, 1, name="put", reset=True)
        z_last = here == z_beats(cfg) - 1
        frame_last = here[:clog2(frame_beats(cfg))].all()
        m.d.sync += [self.item.last.eq(z_last), self.end.eq(z_last | frame_last)]
        m.d.comb += self.put.eq(put)
        flags = []
        for lane, (value, bias) in enumerate(zip(sums, biases)):
            sum_ = Signal(signed(cfg.z_sum.width), name=f"sum_{lane}", reset_less=True)
            m.d.sync += sum_.eq(value + bias)
            # Lanes of the last beat that are no code give zeros.
            code = here < -(-(cfg.codes - lane) // z_lanes(cfg))
            z, moved = saturate(round_half_up(sum_, cfg.z_shift), cfg.fmt.z)
            flag = Signal(name=f"moved_{lane}", reset_less=True)
            m.d.sync += [self.item.z[lane].eq(Mux(code, z, 0)), flag.eq(moved & code)]
            flags.append(flag & put)
        m.d.sync += self.sat.eq(popcount(Cat(flags)))
        return m

    def _shift(self, m, platform, copy):
        """shift_z of a copy, one cycle later."""
        shifts = ShiftMemory(width=SHIFT.width, kind=KIND, base=Parameter.Z, depth=self.cfg.copies)
        m.submodules.shifts = place(platform, shifts)
        m.d.comb += [
            shifts.p_en.eq(self.p_en), shifts.p_addr.eq(self.p_addr),
            shifts.p_data.eq(self.p_data), shifts.r_en.eq(1), shifts.r_addr.eq(copy)]
        return shifts.r_data

    def _biases(self, m, place_of):
        """The biases of a beat, one cycle later; a bank a lane, for they come one by one."""
        cfg = self.cfg
        split, out = clog2(z_lanes(cfg)), []
        for lane in range(min(z_lanes(cfg), cfg.codes)):
            bank = SRAM(width=cfg.fmt.z_bias.width, depth=z_beats(cfg))
            m.submodules[f"bias_{lane}"] = bank
            m.d.comb += [
                bank.w_en.eq(self.b_en & (self.b_addr[:split] == lane)),
                bank.w_addr.eq(self.b_addr[split:]), bank.w_data.eq(self.b_data),
                bank.r_en.eq(place_of < z_beats(cfg)), bank.r_addr.eq(place_of)]
            out.append(bank.r_data.as_signed())
        return out

    def _rounded(self, m, value, shift, name):
        """``round_half_up`` in two cycles."""
        floor, half = floor_and_half(value, shift)
        low = Signal.like(floor, name=f"{name}_floor", reset_less=True)
        up = Signal(name=f"{name}_half", reset_less=True)
        out = Signal(signed(len(low) + 1), name=name, reset_less=True)
        m.d.sync += [low.eq(floor), up.eq(half), out.eq(low + up)]
        return out

    def _dense(self, m, platform):
        """The sums on the grid of the bias, in cycle 2."""
        shift = self._shift(m, platform, 0)
        return [self._rounded(m, value, shift, f"part_{k}") for k, value in enumerate(self.i)]

    def _bh4(self, m, platform, at):
        """gain * y + skip * x on the grid of the bias, in cycle 6."""
        cfg = self.cfg
        word = clog2(beats(cfg))
        slot = Signal.like(self.q_slot)
        with m.If(self.done):
            m.d.sync += slot.eq(slot + 1)
        shift = delay(m, self._shift(m, platform, at[word:]), 2, name="shift_z")
        m.d.comb += [self.q_en.eq(self.valid), self.q_slot.eq(slot), self.q_word.eq(at[:word])]
        sums = []
        for k, (value, x) in enumerate(zip(self.i, self.q_data)):
            # Cycle 1: x comes, and waits, for memory and product are too long together. 2: products;
            # 3 and 4: rounding; 5: sum.
            last = delay(m, value, 2, name=f"last_{k}")
            gained, past = self.gain * last, self.skip * delay(m, x, 1, name=f"x_{k}")
            products = [Signal(by.shape(), name=f"{name}_{k}", reset_less=True)
                        for name, by in (("gained", gained), ("skipped", past))]
            m.d.sync += [to.eq(by) for to, by in zip(products, (gained, past))]
            a = self._rounded(m, products[0], shift, f"part_{k}")
            b = self._rounded(m, products[1], self.shift_skip, f"past_{k}")
            both = Signal(signed(cfg.z_sum.width), name=f"both_{k}", reset_less=True)
            m.d.sync += both.eq(a + b)
            sums.append(both)
        return sums
