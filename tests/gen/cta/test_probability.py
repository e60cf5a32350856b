"""PAG against ``model.cta.probability``, cycle by cycle: values, latencies, hazards."""

import numpy as np
import pytest

from gen.cta import probability
from gen.cta.accumulate import APBank
from gen.cta.exponent import Exponent
from gen.cta.normalise import Normalise
from gen.cta.probability import Probability
from model.cta import probability as golden
from model.cta.config import CTAConfig
from tests.gen.mutants import edited
from tests.gen.native import simulate
from verif.cta.probability_program import Program, de_bruijn, overlapped, random_batch
from verif.port_table import play_native


def config(**parameters):
    return CTAConfig(**{"b": 4, "d": 8, "n": 24, "k1": 9, "k2": 6} | parameters)


def play(program, seed=0):
    play_native(Probability(program.cfg), program, seed)


CONFIGS = [
    config(b=2, pag=2), config(b=2, pag=4, k1=1, k2=1), config(b=4, pag=2, n=7, k1=7, k2=3),
    config(b=4, pag=4, k1=5, k2=8), config(b=4, pag=8), config(b=8, pag=2, n=9, k1=4, k2=9),
    config(b=8, pag=8), config(b=8, pag=16, n=40, k1=40, k2=12), config(b=16, pag=8),
    config(b=2, n=2, k1=2, k2=1), config(b=4, pag=4, k1=5, k2=8, aps=2),
    config(b=8, pag=16, n=40, k1=40, k2=12, aps=2), config(b=2, n=2, k1=2, k2=1, aps=2)]


@pytest.mark.parametrize("cfg", CONFIGS, ids=lambda c: f"b{c.b}-pag{c.pag}-n{c.n}-{c.k1}-{c.k2}-{c.aps}")
def test_batches_overlap(cfg):
    seed = cfg.b * 100 + cfg.pag
    rng = np.random.default_rng(seed)
    sizes = [(cfg.n, cfg.b), (1, 1), (2, cfg.b), (cfg.n - 1, max(1, cfg.b - 1)), (None, None)]
    play(overlapped(rng, cfg, [random_batch(rng, cfg, n=n, cols=cols, gaps=cols is None)
                               for n, cols in sizes]), seed)


@pytest.mark.parametrize("pag", [2, 4, 8])
def test_every_number_of_live_columns(pag):
    cfg = config(pag=pag)
    rng = np.random.default_rng(pag)
    play(overlapped(rng, cfg, [random_batch(rng, cfg, n=11, cols=c) for c in (1, 2, 3, 4)]))


def hazards(pag):
    """Batches whose tokens revisit a cluster after every distance within the pipeline."""
    cfg = config(b=2, pag=pag, n=200)
    rng = np.random.default_rng(5)
    sequence = de_bruijn(3, 4)
    tokens = np.stack([sequence, rng.permutation(3)[sequence[::-1]]], axis=1).reshape(-1)
    constant = np.zeros(31, dtype=np.int64)
    pairs = np.arange(40) // 2
    # The last walk is short, so that rounds of different columns meet at one index.
    return overlapped(rng, cfg, [random_batch(rng, cfg, cols=2, ct1=ct1, ct2=ct2) for ct1, ct2 in (
        (tokens, np.roll(tokens, 3)), (constant, constant), (pairs % 2, pairs % 3),
        (constant[:3], constant[:3]))])


@pytest.mark.parametrize("pag", [2, 4])
def test_any_sequence_of_clusters(pag):
    play(hazards(pag))


TWO_BANKS = {
    "both grow in one bank": (Probability, "half.eq(~half)", "half.eq(half)", "_accumulate"),
    "always read from the first": (Probability, "reads.eq(~reads)", "reads.eq(0)", "_accumulate"),
    "one shift for both": (Normalise, "with m.If(self.half == h if cfg.aps == 2 else 1):", "with m.If(1):",
                           "elaborate"),
    "the shift of the other": (Normalise, "shifts[1], shifts[0])", "shifts[0], shifts[1])", "elaborate"),
}


@pytest.mark.parametrize("name", TWO_BANKS)
def test_mutants_of_two_banks(name, monkeypatch):
    block, *edit = TWO_BANKS[name]
    cfg, rng = config(b=4, pag=4, k1=5, k2=8, aps=2), np.random.default_rng(2)
    program = overlapped(rng, cfg, [random_batch(rng, cfg, n=n, spread=spread)
                                    for n, spread in ((24, 10), (3, 900), (24, 4000), (9, 10))])
    if block is Probability:
        dut = edited(block, *edit)(cfg)
    else:
        monkeypatch.setattr(probability, block.__name__, edited(block, *edit))
        dut = Probability(cfg)
    with pytest.raises(AssertionError, match="seed"):
        play_native(dut, program, 0)


def test_lost_forwarding_is_found(monkeypatch):
    monkeypatch.setattr(APBank, "same", staticmethod(lambda left, right: left[0] & 0))
    with pytest.raises(AssertionError, match="ap__"):
        play(hazards(2))


def test_wrong_row_scale_is_found(monkeypatch):
    monkeypatch.setattr("gen.cta.normalise.leading_one", lambda value: value & 0)
    with pytest.raises(AssertionError, match="ap__"):
        play(hazards(2))


def test_exact_mode():
    cfg = config(n=13, k1=13, k2=2, pag=4)
    rng = np.random.default_rng(6)
    for exact in (True, False):            # a job, and all its batches, is of one mode
        play(overlapped(rng, cfg, [random_batch(rng, cfg, n=n, exact=exact) for n in (13, 12, 1, 13)]))


def test_exact_mode_takes_half_the_rows():
    """More keys than rows: k1 is far below, and each parity has its own tokens."""
    cfg = config(n=21, k1=3, k2=2, pag=4)
    assert cfg.entry_rows == 11 < cfg.entries == 21
    rng = np.random.default_rng(8)
    play(overlapped(rng, cfg, [random_batch(rng, cfg, n=n, exact=True) for n in (21, 20, 1, 21)]))


@pytest.mark.parametrize("spread", [40, 5000])
def test_small_and_saturating_scores(spread):
    cfg = config(b=8, pag=8)
    rng = np.random.default_rng(spread)
    play(overlapped(rng, cfg, [random_batch(rng, cfg, n=24, cols=8, spread=spread)
                               for _ in range(3)]))


def test_first_starts_a_batch_whatever_came_before():
    cfg = config()
    rng = np.random.default_rng(7)
    program = Program(cfg)
    for cycle in range(3):
        program.drive[cycle] |= {("flags__valid", None): 1, ("flags__first", None): int(cycle == 0),
                                 ("flags__level2", None): 0, ("flags__last", None): 0}
    only = random_batch(rng, cfg, n=24, cols=4)
    banks, done = program.walk(only, program.feed(only, 3))
    program.read(rng, banks, only.k1, done + 1)
    play(program)


@pytest.mark.parametrize("count", [0, 1, 4, 9, 24])
def test_clear(count):
    """Entries below the count start from zero, the others keep what an unread batch left."""
    cfg = config(b=2)
    rng = np.random.default_rng(count)
    tables = {"ct1": np.arange(24) % cfg.k1, "ct2": np.arange(24) % cfg.k2}
    program = Program(cfg)
    left, right = (random_batch(rng, cfg, cols=2, **tables) for _ in range(2))
    old, done = program.walk(left, program.feed(left, 0))
    over = program.clear(count, done + 1)
    new, done = program.walk(right, max(program.feed(right, done), over))
    kept = np.concatenate([np.arange(cfg.k1), np.arange(cfg.k2)]) >= count
    program.read(rng, new + old * kept, cfg.k1, done + 1)
    play(program)


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

    simulate(dut, bench)


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

    simulate(dut, bench)
