"""PAG against ``model.cta.probability``, cycle by cycle: values, latencies, hazards."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from amaranth.sim import Simulator

from gen.cta.accumulate import APBank
from gen.cta.exponent import Exponent
from gen.cta.normalise import Normalise
from gen.cta.probability import Probability
from model.cta import probability as golden
from model.cta.config import CTAConfig
from model.cta.timing import ap_clear_delay, ap_latency, cs_latency, pag_cycles


def config(**parameters):
    return CTAConfig(**{"b": 4, "d": 8, "n": 24, "k1": 9, "k2": 6} | parameters)


@dataclass
class Batch:
    """One batch of queries: scores (cols, k1+k2) and the cluster tables."""

    scores: np.ndarray
    ct1: np.ndarray
    ct2: np.ndarray
    k1: int
    exact: bool = False
    gaps: np.ndarray | None = None     # idle cycles before each word
    read: bool = True                  # AP leaves for the array afterwards

    @property
    def n(self):
        return len(self.ct1)

    @property
    def cols(self):
        return len(self.scores)


def batch(rng, cfg, *, n=None, cols=None, ct1=None, ct2=None, exact=False, gaps=False, spread=900):
    """A random batch; scores mostly within ``spread`` of 0, some at the ends of the format."""
    n = n or (len(ct1) if ct1 is not None else int(rng.integers(1, cfg.n + 1)))
    cols = cols or int(rng.integers(1, cfg.b + 1))
    if exact:
        k1, k2, ct1, ct2 = n, 1, np.arange(n), np.zeros(n, dtype=np.int64)
    else:
        ct1 = rng.integers(cfg.k1, size=n) if ct1 is None else np.asarray(ct1)
        ct2 = rng.integers(cfg.k2, size=n) if ct2 is None else np.asarray(ct2)
        k1, k2 = int(ct1.max()) + 1, int(ct2.max()) + 1
    scores = rng.integers(-spread, spread, size=(cols, k1 + k2))
    wild = rng.random(scores.shape) < 0.1
    scores[wild] = rng.integers(cfg.fmt.score.min, cfg.fmt.score.max + 1, size=wild.sum())
    return Batch(scores, ct1, ct2, k1, exact,
                 rng.integers(0, 3, size=k1 + k2) if gaps else None)


@dataclass
class Wave:
    """Stimulus and expectation by cycle, from the latencies the timing model promises."""

    cfg: CTAConfig
    words: dict = field(default_factory=dict)        # cycle -> (b scores, first, level2, last)
    starts: dict = field(default_factory=dict)       # cycle -> batch
    reads: dict = field(default_factory=dict)        # cycle -> (level2, index)
    clears: dict = field(default_factory=dict)       # cycle -> count
    cs_done: set = field(default_factory=set)
    done: set = field(default_factory=set)
    busy: set = field(default_factory=set)
    ap: dict = field(default_factory=dict)           # (cycle, column) -> value
    saturated: int = 0
    end: int = 0

    def scores(self, rng, batch, at):
        """Feed the words of a batch from cycle ``at``; returns the cycle of ``cs_done``."""
        count = batch.scores.shape[1]
        for x in range(count):
            at += int(batch.gaps[x]) if batch.gaps is not None else 0
            # Columns beyond the live ones carry junk.
            word = rng.integers(self.cfg.fmt.score.min, self.cfg.fmt.score.max + 1, size=self.cfg.b)
            word[:batch.cols] = batch.scores[:, x]
            self.words[at] = (word, x == 0, x >= batch.k1, x == count - 1)
            at += 1
        self.cs_done.add(at - 1 + cs_latency(self.cfg))
        return at - 1 + cs_latency(self.cfg)

    def walk(self, batch, at):
        """Start at ``at``; returns the banks and the cycle of ``done``."""
        self.starts[at] = batch
        banks, saturated = golden.aggregate(self.cfg, batch.scores, batch.ct1, batch.ct2, batch.k1,
                                            batch.exact)
        self.saturated += saturated
        done = at + pag_cycles(self.cfg, batch.n, batch.cols)
        self.done.add(done)
        return banks, done

    def clear(self, count, at):
        """Clear entries from cycle ``at``; returns the first cycle in which that is over."""
        self.clears[at] = count
        over = at + (count + 2 if count else 1)
        self.busy |= set(range(at + 1, over))
        return over

    def read(self, rng, banks, k1, at):
        """Read AP out from cycle ``at``, in random order; returns the cycle of the last."""
        ap = golden.normalise(self.cfg, banks)
        for x in rng.permutation(ap.shape[1]):
            self.reads[at] = (int(x >= k1), int(x - k1 if x >= k1 else x))
            for j, value in enumerate(ap[:, x]):
                self.ap[at + ap_latency(self.cfg) + j, j] = int(value)
            at += 1
        self.end = at + ap_latency(self.cfg) + self.cfg.b + 2
        return at - 1


def overlapped(rng, cfg, batches):
    """Batches as close as the contract allows: the scores of the next one come during the walk."""
    wave = Wave(cfg)
    ready, free = wave.scores(rng, batches[0], 0), 0
    for batch, following in zip(batches, batches[1:] + [None]):
        start = max(ready, free)
        banks, done = wave.walk(batch, start)
        if following is not None:
            ready = wave.scores(rng, following, start + 1)
        free = wave.read(rng, banks, batch.k1, done + 1) + ap_clear_delay(cfg)
    return wave


def play(wave, context=""):
    """Drive a PAG with the wave and compare each cycle with it."""
    cfg = wave.cfg
    dut = Probability(cfg)
    saturated = 0

    async def bench(ctx):
        nonlocal saturated
        reply = current = None
        for cycle in range(wave.end):
            where = f"cycle {cycle} of {cfg}{context}"
            _, first, level2, last = word = wave.words.get(cycle, (None, 0, 0, 0))
            ctx.set(dut.score_valid, word[0] is not None)
            for port, flag in ((dut.score_first, first), (dut.score_level2, level2),
                               (dut.score_last, last)):
                ctx.set(port, int(flag))
            for j in range(cfg.b):
                if cycle - j in wave.words:
                    ctx.set(dut.score[j], int(wave.words[cycle - j][0][j]))
            ctx.set(dut.start, cycle in wave.starts)
            if cycle in wave.starts:
                current = wave.starts[cycle]
                ctx.set(dut.n, current.n)
                ctx.set(dut.cols, current.cols)
                ctx.set(dut.exact, current.exact)
            if reply is not None:
                for name, table in (("ct1", current.ct1), ("ct2", current.ct2)):
                    for lane, parity in enumerate(("even", "odd")):
                        at = 2 * reply + lane
                        # PAG itself numbers the tokens in exact mode and masks the absent one.
                        known = at < current.n and not current.exact
                        ctx.set(getattr(dut, f"{name}_{parity}"), int(table[at]) if known else 1)
            level2, index = wave.reads.get(cycle, (0, 0))
            ctx.set(dut.ap_en, cycle in wave.reads)
            ctx.set(dut.ap_level2, level2)
            ctx.set(dut.ap_index, index)
            ctx.set(dut.clear, cycle in wave.clears)
            ctx.set(dut.clear_count, wave.clears.get(cycle, 0))

            assert ctx.get(dut.cs_done) == (cycle in wave.cs_done), f"cs_done in {where}"
            assert ctx.get(dut.done) == (cycle in wave.done), f"done in {where}"
            assert ctx.get(dut.clear_busy) == (cycle in wave.busy), f"clear_busy in {where}"
            saturated += ctx.get(dut.sat_prob)
            for j in range(cfg.b):
                assert ctx.get(dut.ap[j]) == wave.ap.get((cycle, j), 0), f"ap[{j}] in {where}"
            reply = ctx.get(dut.ct_addr) if ctx.get(dut.ct_en) else None
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-9)
    simulator.add_testbench(bench)
    simulator.run()
    assert saturated == wave.saturated, f"saturations of {cfg}{context}"


def de_bruijn(symbols, order):
    """A cyclic sequence that holds each word of ``order`` symbols once, unrolled."""
    sequence, seen = [0] * order, {(0,) * order}
    while True:
        for symbol in reversed(range(symbols)):
            word = (*sequence[len(sequence) - order + 1:], symbol)
            if word not in seen:
                seen.add(word)
                sequence.append(symbol)
                break
        else:
            return np.array(sequence)


CONFIGS = [
    config(b=2, pag=2), config(b=2, pag=4, k1=1, k2=1), config(b=4, pag=2, n=7, k1=7, k2=3),
    config(b=4, pag=4, k1=5, k2=8), config(b=4, pag=8), config(b=8, pag=2, n=9, k1=4, k2=9),
    config(b=8, pag=8), config(b=8, pag=16, n=40, k1=40, k2=12), config(b=16, pag=8),
    config(b=2, n=2, k1=2, k2=1)]


@pytest.mark.parametrize("cfg", CONFIGS, ids=lambda c: f"b{c.b}-pag{c.pag}-n{c.n}-{c.k1}-{c.k2}")
def test_batches_overlap(cfg):
    seed = cfg.b * 100 + cfg.pag
    rng = np.random.default_rng(seed)
    sizes = [(cfg.n, cfg.b), (1, 1), (2, cfg.b), (cfg.n - 1, max(1, cfg.b - 1)), (None, None)]
    play(overlapped(rng, cfg, [batch(rng, cfg, n=n, cols=cols, gaps=cols is None)
                               for n, cols in sizes]), f", seed {seed}")


@pytest.mark.parametrize("pag", [2, 4, 8])
def test_every_number_of_live_columns(pag):
    cfg = config(pag=pag)
    rng = np.random.default_rng(pag)
    play(overlapped(rng, cfg, [batch(rng, cfg, n=11, cols=c) for c in (1, 2, 3, 4)]))


def hazards(pag):
    """Batches whose tokens revisit a cluster after every distance within the pipeline."""
    cfg = config(b=2, pag=pag, n=200)
    rng = np.random.default_rng(5)
    sequence = de_bruijn(3, 4)
    tokens = np.stack([sequence, rng.permutation(3)[sequence[::-1]]], axis=1).reshape(-1)
    constant = np.zeros(31, dtype=np.int64)
    batches = [batch(rng, cfg, cols=2, ct1=tokens, ct2=np.roll(tokens, 3)),
               batch(rng, cfg, cols=2, ct1=constant, ct2=constant),
               batch(rng, cfg, cols=2, ct1=np.arange(40) // 2 % 2, ct2=np.arange(40) // 2 % 3),
               # Short walks, so that the rounds of different columns meet at one index.
               batch(rng, cfg, cols=2, ct1=constant[:3], ct2=constant[:3])]
    return overlapped(rng, cfg, batches)


@pytest.mark.parametrize("pag", [2, 4])
def test_any_sequence_of_clusters(pag):
    play(hazards(pag))


def test_lost_forwarding_is_found(monkeypatch):
    monkeypatch.setattr(APBank, "same", staticmethod(lambda left, right: left[0] & 0))
    with pytest.raises(AssertionError, match=r"ap\["):
        play(hazards(2))


def test_wrong_row_scale_is_found(monkeypatch):
    monkeypatch.setattr("gen.cta.normalise.leading_one", lambda value: value & 0)
    with pytest.raises(AssertionError, match=r"ap\["):
        play(hazards(2))


def test_exact_mode():
    cfg = config(n=13, k1=13, k2=2, pag=4)
    rng = np.random.default_rng(6)
    play(overlapped(rng, cfg, [batch(rng, cfg, n=13, exact=True), batch(rng, cfg, n=12, cols=4),
                               batch(rng, cfg, n=12, exact=True), batch(rng, cfg, n=1, exact=True),
                               batch(rng, cfg, n=13)]))


@pytest.mark.parametrize("spread", [40, 5000])
def test_small_and_saturating_scores(spread):
    cfg = config(b=8, pag=8)
    rng = np.random.default_rng(spread)
    play(overlapped(rng, cfg, [batch(rng, cfg, n=24, cols=8, spread=spread) for _ in range(3)]))


def test_first_starts_a_batch_whatever_came_before():
    cfg = config()
    rng = np.random.default_rng(7)
    wave = Wave(cfg)
    for cycle in range(3):
        wave.words[cycle] = (np.zeros(cfg.b), cycle == 0, 0, 0)
    only = batch(rng, cfg, n=24, cols=4)
    banks, done = wave.walk(only, wave.scores(rng, only, 3))
    wave.read(rng, banks, only.k1, done + 1)
    play(wave)


@pytest.mark.parametrize("count", [0, 1, 4, 9, 24])
def test_clear(count):
    """Entries below the count start from zero, the others keep what an unread batch left."""
    cfg = config(b=2)
    rng = np.random.default_rng(count)
    every1, every2 = np.arange(24) % cfg.k1, np.arange(24) % cfg.k2
    wave = Wave(cfg)
    left, right = (batch(rng, cfg, cols=2, ct1=every1, ct2=every2) for _ in range(2))
    start = wave.scores(rng, left, 0)
    old, done = wave.walk(left, start)
    over = wave.clear(count, done + 1)
    start = max(wave.scores(rng, right, done), over)
    new, done = wave.walk(right, start)
    kept = np.concatenate([np.arange(cfg.k1), np.arange(cfg.k2)]) >= count
    banks = new + old * kept
    wave.read(rng, banks, cfg.k1, done + 1)
    play(wave)


def test_exponent():
    cfg = config()
    low, high = cfg.fmt.score.min, cfg.fmt.score.max
    rng = np.random.default_rng(1)
    e = np.concatenate([np.arange(-16 << 6, 15 << 6), rng.integers(2 * low, 2 * high + 1, 200),
                        [2 * low, 2 * high, low, high]])
    s1 = np.clip(rng.integers(low, high + 1, len(e)), e - high, e - low)
    enable = rng.random(len(e)) < 0.95
    p, saturated = golden.exp2(cfg, e)
    assert saturated.any() and (p == 0).any()
    dut = Exponent(cfg)

    async def bench(ctx):
        for at in range(len(e) + dut.LATENCY):
            if at < len(e):
                ctx.set(dut.s1, int(s1[at]))
                ctx.set(dut.s2, int(e[at] - s1[at]))
                ctx.set(dut.en, bool(enable[at]))
            if at >= dut.LATENCY:
                was = at - dut.LATENCY
                want = (int(p[was]), int(saturated[was])) if enable[was] else (0, 0)
                assert (ctx.get(dut.p), ctx.get(dut.saturated)) == want, f"e = {e[was]}"
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-9)
    simulator.add_testbench(bench)
    simulator.run()


def test_normalise_rounds_and_keeps_to_the_format():
    """Rows at each magnitude, with sums that rounding carries past the format."""
    cfg = config(n=2048)
    rng = np.random.default_rng(2)
    dut = Normalise(cfg)

    async def bench(ctx):
        for bits in range(cfg.ap_bank.width + 1):
            top = (1 << bits) - 1
            banks = np.array([[[top, top, 0, top >> 1]], [[top, top >> 1, 0, 0]]])
            banks = np.concatenate([banks, rng.integers(0, top + 1, size=(2, 1, 8))], axis=2)
            for value in banks.reshape(-1):
                ctx.set(dut.grown, int(value))
                await ctx.tick()
            ctx.set(dut.grown, 0)
            ctx.set(dut.capture, 1)
            await ctx.tick()
            ctx.set(dut.capture, 0)
            want = golden.normalise(cfg, banks)[0]
            for at in range(len(want) + dut.LATENCY):
                ctx.set(dut.en, at < len(want))
                if at < len(want):
                    ctx.set(dut.even, int(banks[0, 0, at]))
                    ctx.set(dut.odd, int(banks[1, 0, at]))
                if at >= dut.LATENCY:
                    assert ctx.get(dut.ap) == want[at - dut.LATENCY], f"{bits} bits, entry {at}"
                await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-9)
    simulator.add_testbench(bench)
    simulator.run()
