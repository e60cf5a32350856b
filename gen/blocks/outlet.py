"""Outlet: it is the stream at the end of a pipeline that does not stall."""

from amaranth.hdl import Array, Module, Mux, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Outlet"]


class Outlet(wiring.Component):
    """Keeps what a pipeline delivers until the stream takes it; lets in no more than fits.

    A pipeline behind an outlet runs freely: no enable fans out over its registers. It may begin an
    item where ``open`` is high, and delivers it some cycles later; what is under way and what waits
    share ``places``. With one place more than the cycles from ``start`` to ``put`` plus one, an
    item a cycle passes.

    Timing: an item is offered in the cycle after ``put``. ``open`` and ``o`` come from registers.

    Source: ours.

    Members
    -------
    start : The pipeline begins an item.
    open : The pipeline may begin an item.
    put : The pipeline delivers an item.
    item : Item that the pipeline delivers, with ``put``.
    o : Stream of items.
    """

    def __init__(self, shape, places: int):
        self._shape, self._places = shape, places
        super().__init__({"start": In(1), "open": Out(1), "put": In(1), "item": In(shape),
                          "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        places = self._places
        width = Shape.cast(self._shape).width
        free, waiting = Signal(range(places + 1), init=places), Signal(range(places + 1))
        head, tail = Signal(range(max(2, places))), Signal(range(max(2, places)))
        words = Array(Signal(width, name=f"word_{i}", reset_less=True) for i in range(places))
        taken = Signal()

        m.d.comb += [self.open.eq(free != 0), self.o.valid.eq(waiting != 0),
                     self.o.payload.eq(words[head]), taken.eq(self.o.valid & self.o.ready)]
        m.d.sync += [free.eq(free + taken - self.start), waiting.eq(waiting + self.put - taken)]
        with m.If(self.put):
            m.d.sync += [words[tail].eq(self.item),
                         tail.eq(Mux(tail == places - 1, 0, tail + 1))]
        with m.If(taken):
            m.d.sync += head.eq(Mux(head == places - 1, 0, head + 1))
        return m
