"""Beat memory: it is written in host beats and read in words of another width."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM
from gen.blocks.pipeline import delay
from gen.fixed import shape
from model.fixed import clog2

__all__ = ["BeatMemory"]


class BeatMemory(wiring.Component):
    """A sequence of elements, written eight at a time and read ``lanes`` at a time.

    Banks are a beat wide, so that no write is partial: a wide word lies across banks, of a narrow
    one several share a row.

    Timing: ``r_data`` comes the cycle after ``r_en``. There is no back-pressure and no reset.

    Parameters
    ----------
    fmt : format of an element
    lanes : elements of a word, a power of two
    words : words in all

    Members
    -------
    w_en : A beat is written.
    w_addr : Number of the beat.
    w_data[8] : Elements of the beat written, the first of the sequence lowest.
    r_en : A word is read.
    r_addr : Number of the word.
    r_data[lanes] : Elements of the word read, one cycle after ``r_en``.
    """

    def __init__(self, *, fmt, beat: int, lanes: int, words: int):
        self.beat, self.lanes, self.words, self.element = beat, lanes, words, shape(fmt)
        self.banks = max(1, lanes // beat)
        self.depth = -(-words * lanes // (beat * self.banks))
        super().__init__({
            "w_en": In(1), "w_addr": In(range(max(2, self.depth * self.banks))),
            "w_data": In(self.element).array(beat),
            "r_en": In(1), "r_addr": In(range(max(2, words))),
            "r_data": Out(self.element).array(lanes)})

    def elaborate(self, platform):
        m = Module()
        split, part = clog2(self.banks), clog2(self.beat * self.banks // self.lanes)
        beat = Cat(self.w_data)
        rows = []
        for at in range(self.banks):
            m.submodules[f"bank_{at}"] = bank = SRAM(width=len(beat), depth=self.depth)
            m.d.comb += [
                bank.w_en.eq(self.w_en & (self.w_addr[:split] == at)),
                bank.w_addr.eq(self.w_addr[split:]), bank.w_data.eq(beat),
                bank.r_en.eq(self.r_en), bank.r_addr.eq(self.r_addr[part:])]
            rows.append(bank.r_data)
        word = Cat(rows)
        if part:
            chosen = delay(m, self.r_addr[:part], 1, name="part")
            size = len(word) >> part
            narrow = Signal(size)
            m.d.comb += narrow.eq(Array(word[size * i:size * (i + 1)]
                                        for i in range(1 << part))[chosen])
            word = narrow
        m.d.comb += Cat(self.r_data).eq(word)
        return m
