"""Queue of z: it lets the multipliers run freely in front of a stream that may stall."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM
from gen.emit import place
from gen.lookup.grouping import z_layout
from model.lookup.config import LookupConfig
from model.lookup.timing import frame_beats, z_frames

__all__ = ["ZQueue"]


class ZQueue(wiring.Component):
    """Keeps beats of z in an SRAM until the stream takes them.

    Nothing behind the multipliers can stall. Hence a frame that will give z is issued only where
    the queue has a place for all its beats: ``open`` says so, ``reserve`` takes the place, and the
    stream frees it with the beat that was put with ``end``.

    Timing: a beat is offered two cycles after ``put``, one a cycle. ``open`` and the stream come
    from registers.

    Source: ours.

    Members
    -------
    open : There is a place for a frame.
    reserve : A place for a frame is taken.
    put : A beat is put in the queue.
    end : The beat put is the last of its frame.
    item : Beat of z, with ``put``. Layout :func:`gen.lookup.grouping.z_layout`.
    z : Stream of the beats. Payload :func:`gen.lookup.grouping.z_layout`.
    busy : A place is taken.
    """

    module_name = "lookup_z_queue"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        super().__init__({"open": Out(1), "reserve": In(1), "put": In(1), "end": In(1),
                          "item": In(z_layout(cfg)), "z": Out(stream.Signature(z_layout(cfg))),
                          "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        depth = z_frames(cfg) * frame_beats(cfg)
        word = data.StructLayout({"item": z_layout(cfg), "end": 1})
        m.submodules.words = words = place(platform, SRAM(width=word.size, depth=depth))
        free = Signal(range(z_frames(cfg) + 1), init=z_frames(cfg))
        stored = Signal(range(depth + 1))
        tail, head = Signal(range(max(2, depth))), Signal(range(max(2, depth)))
        valid, fetch, taken, freed = Signal(), Signal(), Signal(), Signal()
        into, out = Signal(word), data.View(word, words.r_data)

        m.d.comb += [
            self.open.eq(free != 0), into.item.eq(self.item), into.end.eq(self.end),
            words.w_en.eq(self.put), words.w_addr.eq(tail), words.w_data.eq(into),
            fetch.eq((stored != 0) & (~valid | self.z.ready)),
            words.r_en.eq(fetch), words.r_addr.eq(head),
            # The SRAM holds what it has read: that is the register of the stream.
            self.z.valid.eq(valid), self.z.payload.eq(out.item),
            taken.eq(valid & self.z.ready), freed.eq(taken & out.end),
            self.busy.eq(free != z_frames(cfg))]
        m.d.sync += [free.eq(free + freed - self.reserve), stored.eq(stored + self.put - fetch),
                     valid.eq(fetch | (valid & ~self.z.ready))]
        with m.If(self.put):
            m.d.sync += tail.eq(Mux(tail == depth - 1, 0, tail + 1))
        with m.If(fetch):
            m.d.sync += head.eq(Mux(head == depth - 1, 0, head + 1))
        return m
