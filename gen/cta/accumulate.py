"""AP banks: they hold the sums of exponentials by cluster, in any order (CTA, Fig. 9d)."""

from itertools import product

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from gen.blocks.pipeline import delay, stages
from gen.fixed import shape
from model.cta.config import CTAConfig

__all__ = ["APBank"]


class APBank(wiring.Component):
    """AP[round][index] += p for the tokens of one parity at one level; all tiles work on one index.

    One memory word holds the entries of all tiles for one cluster, and each round of tiles has a
    memory. An update takes four cycles: read, register, add, write. So the next three may read an
    old value. Where they have the same round and index they take the sum from the adder's register,
    or from the copy of the word written last. The comparisons are made a cycle ahead, so that only
    a multiplexer stands before the adder.

    An entry that ``take`` reads is cleared, so the banks are zero before each batch without a
    sweep. With two banks (``cfg.aps``) one is read while the other grows: every memory is there twice,
    the adders once.

    Timing: ``en, round, index`` come in cycle c and ``p`` in c+2; ``grown`` shows the new entries
    in c+3, in which they are written. One update a cycle, in any sequence. ``take, take_index`` in
    cycle c read all rounds: ``entry`` is valid for all b columns in c+1, in which the word is
    cleared. Neither a take in c+1 nor an update before c+2 may read the same index of that bank, and no
    update of it may read or write in the cycles c and c+1. ``half`` changes when no update is under way.
    There is no back-pressure.

    Numerics: golden ``model.cta.probability.aggregate``; the sums are exact in ``cfg.ap_bank``.

    Source: Sec. IV-B (4), Fig. 9 (d). The paper merges the two tokens of a cycle. Here each token
    has its own bank (docs/decisions/0004-probability-banks.md), and the comparators merge in time.

    Members
    -------
    en : An update is asked for.
    round : Round of tiles of the update.
    index : Cluster of the update.
    p[tiles] : What each tile adds, two cycles after ``en``. Format ``fmt.prob``.
    grown[b] : New entry of each column in the cycle of its write, 0 where nothing is written.
        Format ``cfg.ap_bank``.
    half : The bank that grows, of two.
    take : An entry of all columns is read and then cleared; a bit a bank.
    take_index : Cluster of that entry.
    entry[b] : The entry of each column, one cycle after ``take``. Format ``cfg.ap_bank``.
    """

    LATENCY = 3

    def __init__(self, cfg: CTAConfig, entries: int):
        self.cfg, self.entries = cfg, entries
        self.module_name = f"cta_ap_bank_{entries}"
        at = address_width(entries)
        super().__init__({
            "en": In(1), "round": In(address_width(cfg.pag_rounds)), "index": In(at),
            "p": In(shape(cfg.fmt.prob)).array(cfg.tiles),
            "grown": Out(shape(cfg.ap_bank)).array(cfg.b),
            **({"half": In(1)} if cfg.aps == 2 else {}), "take": In(cfg.aps), "take_index": In(at),
            "entry": Out(shape(cfg.ap_bank)).array(cfg.b)})

    @staticmethod
    def same(left, right):
        """True where two updates are to one entry; each is (valid, round, index)."""
        return left[0] & right[0] & (Cat(left[1:]) == Cat(right[1:]))

    def elaborate(self, platform):
        m = Module()
        cfg, tiles = self.cfg, self.cfg.tiles
        word = tiles * cfg.ap_bank.width

        # Where the update of each cycle is bound for: reading, read, adding, writing.
        reading = (self.en, self.round, self.index)
        _, read, adding, writing = zip(*(
            stages(m, field, 3, reset=field is self.en, name=name)
            for field, name in zip(reading, ("en", "round", "index"))))

        # What an update takes instead of the memory's word: the first two in cycle 1 of its way,
        # the third in cycle 2.
        from_last = Signal()
        from_sum = Signal()
        from_adder = Signal()
        m.d.sync += [from_last.eq(self.same(reading, writing)),
                     from_sum.eq(self.same(reading, adding)),
                     from_adder.eq(self.same(read, adding))]

        taken = delay(m, self.take, 1, reset=True, name="taken")
        taken_index = delay(m, self.take_index, 1, name="taken_index")

        # Cycle 0: the memories.
        sums = [Signal(shape(cfg.ap_bank), reset_less=True, name=f"sum_{t}") for t in range(tiles)]
        total = Cat(sums)
        last = Signal(word, reset_less=True)
        words = [[] for _ in range(cfg.aps)]
        for h, r in product(range(cfg.aps), range(cfg.pag_rounds)):
            sram = SRAM(width=word, depth=self.entries)
            m.submodules[f"round{r}" + "_second" * h] = sram
            grows = self.half == h if cfg.aps == 2 else 1
            m.d.comb += [
                sram.r_en.eq(self.take[h] | (grows & self.en & (self.round == r))),
                sram.r_addr.eq(Mux(self.take[h], self.take_index, self.index)),
                sram.w_en.eq(taken[h] | (grows & writing[0] & (writing[1] == r))),
                sram.w_addr.eq(Mux(taken[h], taken_index, writing[2])),
                sram.w_data.eq(Mux(taken[h], 0, total))]
            words[h].append(sram.r_data)
        entry, words = ((words[0], words[0]) if cfg.aps == 1 else
                        ([Mux(which, second, first) for first, second in zip(*words)]
                         for which in (taken[1], self.half)))
        m.d.comb += Cat(*self.entry).eq(Cat(entry))

        # Cycle 1: the word read, unless it is older than a sum at hand.
        found = Signal(word)
        old = Signal(word, reset_less=True)
        with m.Switch(read[1]):
            for r, value in enumerate(words):
                with m.Case(r):
                    m.d.comb += found.eq(value)
        m.d.sync += [old.eq(Mux(from_sum, total, Mux(from_last, last, found))), last.eq(total)]

        # Cycle 2: the sums. Cycle 3: written.
        for t, each in enumerate(sums):
            before = Mux(from_adder, each, old.word_select(t, len(each)))
            m.d.sync += each.eq(before + self.p[t])
            for r in range(cfg.pag_rounds):
                with m.If(writing[0] & (writing[1] == r)):
                    m.d.comb += self.grown[r * tiles + t].eq(each)
        return m
