"""Token buffer: it keeps tokens from their arrival until the last sum that needs them."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.beat_memory import BeatMemory
from gen.blocks.pipeline import delay
from gen.emit import place
from gen.fixed import shape
from model.fixed import clog2
from model.lookup.config import LookupConfig
from model.lookup.layout import HOST_LANES
from model.lookup.timing import beats, token_slots, z_lanes

__all__ = ["TokenBuffer"]


class TokenBuffer(wiring.Component):
    """Takes tokens eight elements a beat and gives them z_lanes a word, zeros beyond d.

    The first port (``r_``) feeds the multipliers, the second (``q_``) the skip of BH4. Each has a
    copy of the tokens, because new ones come in all the time.

    Timing: a token is ``waiting`` in the cycle after its last beat; data come the cycle after their
    address. ``x`` is taken while a slot is free.

    Source: ours.

    Members
    -------
    x : Stream of tokens, d/8 beats each. Format ``fmt.x``, eight elements, the first lowest.
    waiting : A token is complete that no one has taken yet.
    slot : Slot of that token.
    take : The waiting token is taken; ``slot`` goes to the next.
    release : The oldest slot is free.
    busy : A token or a part of one is inside.
    r_en : A word is read for the multipliers.
    r_slot : Slot of its token.
    r_word : Number of the word.
    r_data[z_lanes] : Elements of the word read, one cycle after ``r_en``. Format ``fmt.x``.
    q_en : A word is read for the skip. BH4 only, and so are the next three.
    q_slot : Slot of its token.
    q_word : Number of the word.
    q_data[z_lanes] : Elements of the word read, one cycle after ``q_en``. Format ``fmt.x``.
    """

    module_name = "lookup_token_buffer"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        lanes = z_lanes(cfg)
        slot, word = range(token_slots(cfg)), range(max(2, beats(cfg)))
        members = {
            "x": In(stream.Signature(data.ArrayLayout(shape(cfg.fmt.x), HOST_LANES))),
            "waiting": Out(1), "slot": Out(slot), "take": In(1), "release": In(1), "busy": Out(1)}
        for port in ("r",) if cfg.projection == "dense" else ("r", "q"):
            members |= {f"{port}_en": In(1), f"{port}_slot": In(slot), f"{port}_word": In(word),
                        f"{port}_data": Out(shape(cfg.fmt.x)).array(lanes)}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        slots, per_token = token_slots(cfg), cfg.n // HOST_LANES
        last = cfg.d // HOST_LANES - 1

        # Tokens come in. A slot has room for padding, so that addresses are concatenations.
        fill, beat = Signal(range(slots)), Signal(range(max(2, per_token)))
        held, unread = Signal(range(slots + 1)), Signal(range(slots + 1))
        accept, whole = Signal(), Signal()
        m.d.comb += [self.x.ready.eq(held != slots), accept.eq(self.x.valid & self.x.ready),
                     whole.eq(accept & (beat == last))]
        with m.If(accept):
            m.d.sync += beat.eq(Mux(beat == last, 0, beat + 1))
        m.d.sync += [held.eq(held + whole - self.release), unread.eq(unread + whole - self.take)]
        with m.If(whole):
            m.d.sync += fill.eq(fill + 1)
        with m.If(self.take):
            m.d.sync += self.slot.eq(self.slot + 1)
        m.d.comb += [self.waiting.eq(unread != 0), self.busy.eq((held != 0) | (beat != 0))]

        # And are read.
        for port in ("r", "q")[:1 if cfg.projection == "dense" else 2]:
            memory = BeatMemory(fmt=cfg.fmt.x, beat=HOST_LANES, lanes=z_lanes(cfg),
                                words=slots * beats(cfg))
            m.submodules[f"{port}_memory"] = place(platform, memory)
            en, slot, word = (getattr(self, f"{port}_{name}") for name in ("en", "slot", "word"))
            m.d.comb += [
                memory.w_en.eq(accept),
                memory.w_addr.eq(Cat(beat[:clog2(per_token)], fill)),
                *(to.eq(by) for to, by in zip(memory.w_data, self.x.payload)),
                memory.r_en.eq(en), memory.r_addr.eq(Cat(word[:clog2(beats(cfg))], slot))]
            asked = delay(m, word, 1, name=f"{port}_asked")
            for lane, (to, by) in enumerate(zip(getattr(self, f"{port}_data"), memory.r_data)):
                m.d.comb += to.eq(Mux(self.within(asked, lane), by, 0))
        return m

    def within(self, word, lane):
        """Whether this lane of a word lies before d."""
        if lane >= self.cfg.d:
            return Const(0, 1)
        words = -(-(self.cfg.d - lane) // z_lanes(self.cfg))
        return word < words
