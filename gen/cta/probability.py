"""PAG, probability aggregation: scores come in, aggregated probabilities go out (CTA, Fig. 9)."""

from functools import reduce
from operator import or_
from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import address_width
from gen.blocks.pipeline import delay, stages
from gen.cta.accumulate import APBank
from gen.cta.exponent import Exponent
from gen.cta.interfaces import PairLookup, ScoreFlags
from gen.cta.normalise import Normalise
from gen.cta.score_buffer import ScoreBuffer
from gen.emit import place
from gen.fixed import popcount, shape
from model.cta.config import CTAConfig
from model.cta.timing import PAG_STEP
from model.fixed import clog2

__all__ = ["APRead", "Probability"]

LANES = ("even", "odd")


class APRead(data.StructLayout):
    """The array asks for entry ``index`` of its level, ``level2`` or not; ``last`` of a batch."""

    def __init__(self, cfg: CTAConfig):
        super().__init__({"en": 1, "last": 1, "level2": 1, "index": range(max(2, cfg.entries, cfg.k2))})


class Probability(wiring.Component):
    """Aggregates the attention probabilities of a batch of b compressed queries.

        for each pair of tokens (even, odd), for every query i, in both tokens j of the pair:
            p = 2**(CS[i, CT1[j]] + CS[i, k1 + CT2[j]])
            AP[i, CT1[j]] += p;  AP[i, k1 + CT2[j]] += p

    A tile is two exponential units and its share of the four AP banks (level 1/2, even/odd token).
    All tiles work on the same pair for different queries, so addresses and hazards are found once,
    and the words of the tiles side by side make one wide memory. With fewer tiles than queries the
    pairs are walked in rounds, each for the next ``tiles`` columns, without a gap.

    Timing: there is no back-pressure; ``model.cta.timing`` has the numbers.

    * ``score[j]`` comes j cycles after the flags, which belong to column 0. ``start`` may come in
      the cycle of ``cs_done`` or later. Two batches fit.
    * ``start`` takes the oldest batch not yet taken. ``ct.addr`` is valid from the next cycle on, a
      pair a cycle; the four CT entries come the cycle after. ``done`` comes ``pag_cycles`` after
      ``start``, ``sat_prob`` up to and including that cycle.
    * ``read.en`` may come from the cycle after ``done`` on: ``ap[j]`` is valid ``ap_latency`` + j
      cycles later, 0 in columns from ``cols`` on and in cycles that no ``read.en`` asked for. The
      entry is cleared, so each index is read once a batch, and none in use is left out. ``start``
      may come ``ap_clear_delay`` cycles after the last ``read.en``; with two banks, after that of the
      batch before the last, and after ``done``.
    * ``clear`` clears the entries 0..``clear_count``-1, one a cycle; ``clear_busy`` is high from
      the next cycle until ``start`` and ``read.en`` are allowed again. It is needed once after a
      reset.

    Numerics: golden ``model.cta.probability`` (exp2, aggregate, normalise). ``sat_prob`` counts the
    saturated exponentials of live columns only. With ``exact`` CT1 is the token number, CT2 is 0,
    and level 2 is not accumulated; then the memories of even and of odd tokens have half the entries each.

    Source: Sec. IV-B (4), Fig. 6 and 9. Deviations: banks by token parity in place of a merge of
    two (docs/decisions/0004-probability-banks.md); AP leaves normalised to the row.

    Members
    -------
    score[b] : Score of column j, j cycles after its flags. Format ``fmt.score``.
    flags : What goes with the score of column 0.
    cs_done : The last score of a batch is written.
    start : PAG takes the oldest batch of scores.
    n : Tokens of the key and value tensor, read with ``start``.
    exact : The job is exact attention; held while scores come and until they are aggregated and read.
    cols : Live columns of the batch, read with ``start``.
    done : The last sum of the batch is written.
    sat_prob : Exponentials that saturated, of the sums written in this cycle.
    ct : Asks the cluster tables for pairs of tokens.
    clear : The AP entries are cleared, one a cycle.
    clear_count : Number of AP entries to clear, of each level.
    clear_busy : AP entries are being cleared.
    read : The array asks for an AP entry.
    ap[b] : AP entry of query j, ``ap_latency`` + j cycles after ``read.en``. Format ``cfg.value``.
    """

    module_name = "cta_probability"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "score": In(shape(cfg.fmt.score)).array(cfg.b), "flags": In(ScoreFlags()),
            "cs_done": Out(1),
            "start": In(1), "n": In(cfg.count_width), "exact": In(1), "cols": In(range(cfg.b + 1)),
            "done": Out(1), "sat_prob": Out(range(cfg.pag + 1)),
            "ct": Out(PairLookup(cfg)), "clear": In(1), "clear_count": In(cfg.count_width),
            "clear_busy": Out(1),
            "read": In(APRead(cfg)), "ap": Out(shape(cfg.value)).array(cfg.b)})

    def elaborate(self, platform):
        m = Module()
        steps = self._walk(m)
        units = self._exponentials(m, platform, steps)
        banks = self._accumulate(m, platform, steps, units)
        self._read_out(m, platform, *banks)
        return m

    # The walk: cycle 0 of a step asks for a pair, cycle 9 writes its sums ---------------------

    def _walk(self, m):
        """Steps through pairs and rounds; gives what each step carries, by cycle of its way."""
        cfg = self.cfg
        pair = Signal.like(self.ct.addr)
        last_pair = Signal.like(self.ct.addr)
        round_ = Signal(address_width(cfg.pag_rounds), name="round")
        last_round = Signal(address_width(cfg.pag_rounds))
        odd_n = Signal()
        exact = Signal(name="exact_walk")
        running = Signal()
        ends = Signal()
        low = clog2(cfg.tiles)
        last_tile = Signal(low)
        last_column = (self.cols - 1)[:clog2(cfg.b)]

        m.d.comb += [self.ct.en.eq(running), self.ct.addr.eq(pair), ends.eq(pair == last_pair)]
        with m.If(self.start):
            m.d.sync += [running.eq(1), pair.eq(0), round_.eq(0), last_pair.eq((self.n - 1) >> 1),
                         odd_n.eq(self.n[0]), exact.eq(self.exact),
                         last_tile.eq(last_column[:low]), last_round.eq(last_column[low:])]
        with m.Elif(running):
            m.d.sync += pair.eq(pair + 1)
            with m.If(ends):
                m.d.sync += [pair.eq(0), round_.eq(round_ + 1), running.eq(round_ != last_round)]

        final = running & ends & (round_ == last_round)
        m.d.comb += self.done.eq(delay(m, final, PAG_STEP, reset=True, name="final"))
        en = stages(m, Cat(running, running & ~(ends & odd_n)), 6, reset=True, name="en")
        rounds = stages(m, round_, 6, name="round")

        # Cycle 1: the reply of CT; index[level, lane][q] is valid in cycle 1 + q.
        asked = delay(m, pair, 1, name="pair")
        index = {}
        for lane, name in enumerate(LANES):
            for level in (1, 2):
                ct = getattr(self.ct, f"ct{level}_{name}")
                # The memories of a parity have its tokens alone, so that a pair is one row of both.
                index[level, lane] = stages(m, Mux(exact, asked if level == 1 else 0, ct), 5,
                                            name=f"index{level}_{name}")
        # In the last round a tile may have no live column, the first tile always has one.
        live = [Const(1, 1)] + [(rounds[3] != last_round) | (last_tile >= t)
                                for t in range(1, cfg.tiles)]
        return SimpleNamespace(en=en, round=rounds, index=index, live=live, exact=exact)

    # Cycles 2 to 4: the scores of both tokens -------------------------------------------------

    def _exponentials(self, m, platform, steps):
        """CS and the tiles' exponential units; returns the units by lane and tile."""
        cfg = self.cfg
        buffer = ScoreBuffer(cfg)
        m.submodules.score_buffer = place(platform, buffer)
        m.d.comb += [
            *(to.eq(of) for to, of in zip(buffer.score, self.score)),
            buffer.valid.eq(self.flags.valid), buffer.first.eq(self.flags.first),
            buffer.level2.eq(self.flags.level2), buffer.last.eq(self.flags.last),
            self.cs_done.eq(buffer.cs_done), buffer.take.eq(self.start), buffer.exact.eq(self.exact),
            buffer.r_en.eq(steps.en[2])]
        units = []
        for lane, name in enumerate(LANES):
            m.d.comb += [buffer.index1[lane].eq(steps.index[1, lane][1]),
                         buffer.index2[lane].eq(steps.index[2, lane][1])]
            units.append([])
            for t in range(cfg.tiles):
                # Cycle 3: the tile's column of this round.
                unit = Exponent(cfg)
                m.submodules[f"exponent_{name}_{t}"] = place(platform, unit)
                s1, s2 = (Signal.like(port, reset_less=True, name=f"{part}_{name}_{t}")
                          for port, part in ((unit.s1, "s1"), (unit.s2, "s2")))
                with m.Switch(steps.round[3]):
                    for r in range(cfg.pag_rounds):
                        with m.Case(r):
                            j = r * cfg.tiles + t
                            m.d.sync += [s1.eq(buffer.cs1[lane][j]), s2.eq(buffer.cs2[lane][j])]
                live = delay(m, steps.en[3][lane] & steps.live[t], 1, reset=True,
                             name=f"live_{name}_{t}")
                m.d.comb += [unit.s1.eq(s1), unit.s2.eq(s2), unit.en.eq(live)]
                units[lane].append(unit)
        # Cycle 9: counted where the sums are written.
        m.d.sync += self.sat_prob.eq(popcount(Cat(
            unit.saturated for tiles in units for unit in tiles)))
        return units

    # Cycles 6 to 9: the AP banks --------------------------------------------------------------

    def _accumulate(self, m, platform, steps, units):
        """The banks, read for a step or for the array; returns them by level and lane."""
        cfg = self.cfg

        # A sweep is a read-out at which nobody looks.
        sweeping = Signal()
        swept = Signal()
        sweep = Signal.like(self.clear_count)
        m.d.sync += swept.eq(sweeping)
        m.d.comb += self.clear_busy.eq(sweeping | swept)
        with m.If(self.clear):
            m.d.sync += [sweeping.eq(self.clear_count != 0), sweep.eq(self.clear_count - 1)]
        with m.Elif(sweeping):
            m.d.sync += [sweeping.eq(sweep != 0), sweep.eq(sweep - 1)]

        # Banks in turn: one that grows, from ``start`` on, and one that is read, up to the last entry.
        half, reads = (Signal(name="half", init=1), Signal(name="reads")) if cfg.aps == 2 else (None, None)
        if cfg.aps == 2:
            with m.If(self.start):
                m.d.sync += half.eq(~half)
            with m.If(self.read.en & self.read.last):
                m.d.sync += reads.eq(~reads)
            with m.If(self.clear):
                m.d.sync += [half.eq(1), reads.eq(0)]

        banks = {}
        for level, entries in ((1, cfg.entry_rows), (2, cfg.k2)):
            halves = self.exact & (level == 1)
            take = Signal(cfg.aps, name=f"take{level}")
            take_index = Signal(address_width(entries), name=f"take{level}_index")
            asked = self.read.en & (self.read.level2 if level == 2 else ~self.read.level2)
            mine = 1 if cfg.aps == 1 else Mux(reads, 0b10, 0b01)
            swept_too = (sweeping & (sweep < entries)).replicate(cfg.aps)
            m.d.comb += [take.eq(Mux(asked, mine, 0) | swept_too),
                         take_index.eq(Mux(sweeping, sweep, Mux(halves, self.read.index >> 1,
                                                                self.read.index)))]
            for lane, name in enumerate(LANES):
                bank = APBank(cfg, entries)
                m.submodules[f"ap{level}_{name}"] = place(platform, bank)
                step = steps.en[6][lane]
                m.d.comb += [
                    bank.en.eq(step if level == 1 else step & ~steps.exact),
                    bank.round.eq(steps.round[6]), bank.index.eq(steps.index[level, lane][5]),
                    *(p.eq(unit.p) for p, unit in zip(bank.p, units[lane])),
                    bank.take.eq(Mux(sweeping | ~halves | (self.read.index[0] == lane), take, 0)),
                    bank.take_index.eq(take_index)]
                if cfg.aps == 2:
                    m.d.comb += bank.half.eq(half)
                banks[level, lane] = bank
        return banks, half, reads

    # The way to the array ---------------------------------------------------------------------

    def _read_out(self, m, platform, banks, half, of):
        captured = delay(m, self.done, 1, reset=True, name="captured")
        reads = delay(m, self.read.en, 1, reset=True, name="reads")
        level2 = delay(m, self.read.level2, 1, name="level2")
        # Of an exact job the other parity has nothing to say.
        other = self.exact & ~self.read.level2
        absent = [delay(m, other & (self.read.index[0] != lane), 1, name=f"absent_{name}")
                  for lane, name in enumerate(LANES)]
        for j in range(self.cfg.b):
            column = Normalise(self.cfg)
            m.submodules[f"normalise_{j}"] = place(platform, column)
            m.d.comb += [
                column.grown.eq(reduce(or_, (bank.grown[j] for bank in banks.values()))),
                column.capture.eq(captured), column.en.eq(reads),
                *(port.eq(Mux(absent[lane], 0, Mux(level2, banks[2, lane].entry[j],
                                                   banks[1, lane].entry[j])))
                  for lane, port in enumerate((column.even, column.odd)))]
            if self.cfg.aps == 2:
                m.d.comb += [column.half.eq(half), column.reads.eq(delay(m, of, 1, name="of"))]
            # Column j of the array works j cycles after column 0.
            m.d.comb += self.ap[j].eq(delay(m, column.ap, j, name=f"ap_{j}"))
        return m
