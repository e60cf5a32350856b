"""Gather-accumulate: it adds a beat of table entries times its score to a token's sums."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from gen.blocks.pipeline import delay, stages
from gen.fixed import shape
from model.lookup.config import LookupConfig
from model.lookup.timing import accumulator_words

__all__ = ["GatherAccumulate", "word_width"]


def word_width(cfg: LookupConfig) -> int:
    """Bits of the number of a word in a bank."""
    return address_width(accumulator_words(cfg))


class GatherAccumulate(wiring.Component):
    """acc[bank][word] = (first ? 0 : acc[bank][word]) + score * entries, ``lanes`` sums at once.

    There are two banks, each with a memory: the sums of one token leave while those of the next
    grow. An update takes four cycles: read and operands, product, addition, write. With fewer than
    four beats a row, the next token's or row's update may need a sum that is not written yet; it is
    taken from the adder's register, or from the copy of the word written last. Longer rows need
    nothing of that, and have nothing of it.

    Timing: ``en`` and what goes with it come in cycle c; the sum is written in c+3 and may be taken
    from c+4 on. One beat a cycle, in any sequence, no back-pressure. ``take`` in cycle c shows the
    word as ``sums`` in c+1, where it stays until the next ``take``, or an update of that bank.

    Numerics: golden ``model.lookup.gather.accumulate``, exact in ``cfg.gather_acc``.

    Source: Sec. 3.1, eq. 7.

    Members
    -------
    en : A beat is added to its sums.
    bank : Bank of those sums.
    word : Word of those sums.
    first : The sums start with this beat.
    score : Weight of the beat. Format ``cfg.score``.
    entries : The beat: ``lanes`` table entries of 8 bits, signed, the first lowest.
    take : A word of sums is read.
    take_bank : Bank of that word.
    take_word : Number of that word.
    sums : Word of sums, one cycle after ``take``. Format ``cfg.gather_acc``.
    """

    module_name = "lookup_gather_accumulate"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        word = word_width(cfg)
        super().__init__({
            "en": In(1), "bank": In(1), "word": In(word), "first": In(1),
            "score": In(shape(cfg.score)), "entries": In(8 * cfg.lanes),
            "take": In(1), "take_bank": In(1), "take_word": In(word),
            "sums": Out(data.ArrayLayout(shape(cfg.gather_acc), cfg.lanes))})

    def elaborate(self, platform):
        m = Module()
        cfg, width = self.cfg, self.cfg.gather_acc.width

        # Where the update of each cycle is bound for: read, multiply, add, write.
        en = stages(m, self.en, 3, reset=True, name="en")
        at = stages(m, Cat(self.bank, self.word), 3, name="at")
        first = stages(m, self.first, 2, name="first")

        # Cycle 0: the memories. Cycle 3: they are written.
        total = Signal(cfg.lanes * width, reset_less=True)
        words, taken = [], Signal()
        with m.If(self.take):
            m.d.sync += taken.eq(self.take_bank)
        for b in range(2):
            m.submodules[f"bank{b}"] = sram = SRAM(width=len(total), depth=accumulator_words(cfg))
            take = self.take & (self.take_bank == b)
            m.d.comb += [
                sram.r_en.eq(take | (self.en & (self.bank == b))),
                sram.r_addr.eq(Mux(take, self.take_word, self.word)),
                sram.w_en.eq(en[3] & (at[3][0] == b)), sram.w_addr.eq(at[3][1:]),
                sram.w_data.eq(total)]
            words.append(sram.r_data)
        m.d.comb += self.sums.eq(Mux(taken, *reversed(words)))

        # Cycle 1: the old sums, and the operands.
        old = Signal.like(total)
        found = Mux(at[1][0], *reversed(words))
        same = [en[ahead] & (at[0] == at[ahead]) for ahead in (1, 2, 3)]
        if cfg.row_beats <= 3:
            last = Signal.like(total)
            m.d.sync += last.eq(total)
            found = Mux(delay(m, same[2], 1, name="from_last"), last, found)
        if cfg.row_beats <= 2:
            found = Mux(delay(m, same[1], 1, name="from_sum"), total, found)
        m.d.sync += old.eq(Mux(first[1], 0, found))
        score = Signal(shape(cfg.score), reset_less=True)
        entries = Signal(8 * cfg.lanes, reset_less=True)
        with m.If(self.en):
            m.d.sync += [score.eq(self.score), entries.eq(self.entries)]

        # Cycle 2: products are there; the addition.
        from_adder = None
        if cfg.row_beats <= 1:
            from_adder = delay(m, same[0], 2, name="from_adder") & ~first[2]
        for i in range(cfg.lanes):
            product = Signal((score * Signal(signed(8))).shape(), name=f"product_{i}",
                             reset_less=True)
            m.d.sync += product.eq(score * entries.word_select(i, 8).as_signed())
            mine = slice(i * width, (i + 1) * width)
            before = old[mine] if from_adder is None else Mux(from_adder, total[mine], old[mine])
            m.d.sync += total[mine].eq(before + product)
        return m
