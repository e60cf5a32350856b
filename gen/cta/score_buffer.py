"""CS buffers: they keep the scores of two batches of queries as wide words (CTA, Sec. IV-B)."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from gen.blocks.pipeline import delay
from gen.fixed import shape
from model.cta.config import CTAConfig

__all__ = ["ScoreBuffer"]


class ScoreBuffer(wiring.Component):
    """Takes scores as they leave the skewed PPE row, gives them as words of b scores.

    Column j comes j cycles after column 0. It is delayed by b-1-j cycles, so that one word holds
    one centroid's scores with all b queries of the batch. Level 1 and level 2 have four memories
    each: two for alternate batches, of which one is written while the other is read, and of each a
    copy for the even tokens and one for the odd. So no memory is written and read in one cycle, and
    one port is enough. In exact mode a token has a word of its own, and its copy alone has it, in half
    the rows.

    Timing: the word is written when the score of column b-1 arrives, b-1 cycles after that of
    column
    0. Words may come with gaps. ``take`` moves the reading side to the next batch, at first to the
    first one: addresses from the next cycle on belong to it. ``cs1`` and ``cs2`` of a lane are
    valid the cycle after its ``r_en`` with its indices, and hold while it is low. There is no
    back-pressure.

    Numerics: none, scores pass unchanged.

    Source: Sec. IV-B (4). The paper shares one CS buffer among the tiles without giving its ports;
    see docs/decisions/0004-probability-banks.md.

    Members
    -------
    score[b] : Score of column j, j cycles after its flags. Format ``fmt.score``.
    valid : Column 0 has a score.
    first : The score is the first of its batch.
    level2 : The score is of level 2.
    last : The score is the last of its batch.
    cs_done : The last word of a batch is written.
    take : The reading side goes to the next batch.
    exact : Words of level 1 are those of tokens in turn; held while words come.
    r_en : Lanes that read: bit 0 for the even token, bit 1 for the odd one.
    index1[2] : Word of level 1 that the even, the odd lane reads.
    index2[2] : Word of level 2 that the even, the odd lane reads.
    cs1[2][b] : Scores of level 1 with all queries, for the even and the odd lane.
        Format ``fmt.score``.
    cs2[2][b] : Scores of level 2 with all queries, for the even and the odd lane.
        Format ``fmt.score``.
    """

    module_name = "cta_score_buffer"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        score = shape(cfg.fmt.score)
        one, two = address_width(cfg.entry_rows), address_width(cfg.k2)
        super().__init__({
            "score": In(score).array(cfg.b), "valid": In(1), "first": In(1), "level2": In(1),
            "last": In(1), "cs_done": Out(1), "take": In(1), "exact": In(1),
            "r_en": In(2),
            "index1": In(one).array(2), "index2": In(two).array(2),
            "cs1": Out(score).array(2, cfg.b), "cs2": Out(score).array(2, cfg.b)})

    def elaborate(self, platform):
        m = Module()
        cfg, b = self.cfg, self.cfg.b

        # Deskew: a triangle of registers. The flags walk with column 0, and one cycle less, for
        # the address is formed before the write.
        word = [delay(m, self.score[j], b - 1 - j, name=f"score_{j}") for j in range(b)]
        valid, first, level2, last = delay(
            m, Cat(self.valid, self.first, self.level2, self.last), b - 2, reset=True,
            name="flags")
        count = Signal(address_width(max(cfg.entries, cfg.k2)))
        was_level2 = Signal()
        index = Signal.like(count)
        w_index = Signal.like(count)
        w_en1 = Signal()
        w_en2 = Signal()
        w_last = Signal()
        with m.If(~first & (level2 == was_level2)):
            m.d.comb += index.eq(count)
        with m.If(valid):
            m.d.sync += [count.eq(index + 1), was_level2.eq(level2), w_index.eq(index)]
        m.d.sync += [w_en1.eq(valid & ~level2), w_en2.eq(valid & level2), w_last.eq(valid & last)]

        parity_in = Signal()
        parity_out = Signal()
        parity_next = Signal()
        m.d.comb += self.cs_done.eq(w_last)
        m.d.sync += parity_in.eq(parity_in ^ w_last)
        with m.If(self.take):
            m.d.sync += [parity_out.eq(parity_next), parity_next.eq(~parity_next)]

        # CS1 and CS2, each a memory for the batches of either parity and for the tokens of either.
        odd = w_index[0]
        for level, depth, w_en, index, out in ((1, cfg.entry_rows, w_en1, self.index1, self.cs1),
                                               (2, cfg.k2, w_en2, self.index2, self.cs2)):
            halves = self.exact & (level == 1)
            for lane, name in enumerate(("even", "odd")):
                words = []
                for parity in (0, 1):
                    m.submodules[f"cs{level}_{name}_{parity}"] = cs = SRAM(
                        width=len(Cat(word)), depth=depth, ports="1rw")
                    writes = w_en & (parity_in == parity) & (~halves | (odd == lane))
                    m.d.comb += [
                        cs.w_en.eq(writes), cs.w_data.eq(Cat(word)),
                        cs.r_en.eq(self.r_en[lane] & (parity_out == parity)),
                        cs.addr.eq(Mux(writes, Mux(halves, w_index >> 1, w_index), index[lane]))]
                    words.append(cs.r_data)
                m.d.comb += Cat(*out[lane]).eq(Mux(parity_out, *words[::-1]))
        return m
