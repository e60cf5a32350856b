"""Schedule and sequencer: every slot of both programs in its cycle, for the shapes where loops bend."""

import numpy as np
import pytest

from gen.cta import program
from gen.cta.schedule import Schedule
from gen.cta.sequencer import Sequencer
from model.cta.config import CTAConfig
from tests.gen.mutants import edited
from tests.model.cta.programs import ORDERS
from tests.model.cta.programs import program as program_of
from verif.cta.sequencer_program import Head, head_program, random_head
from verif.cta.sequencer_top import SequencerTop
from verif.port_table import play_native

CONFIGS = {
    "plain": dict(b=4, d=8, l=2, n=12, tokens=24),
    "b above d": dict(b=16, d=8, l=3, n=20, k0=20, k1=11, k2=9),
    "l above b": dict(b=2, d=8, l=5, n=9, sets=3),
    "in turn": dict(b=4, d=8, dw=16, l=2, n=12, ahead=False, program="table1"),
    "slices": dict(b=4, d=8, dw=24, l=4, n=13, tokens=20, exact=11, k0=9, k1=13, k2=5, sets=2,
                   program="table1"),
    "slices, passes, b above d": dict(b=16, d=8, dw=16, l=8, n=11, program="table1"),
    "slices and passes": dict(b=2, d=8, dw=24, l=3, n=7, k0=7, k1=6, k2=3, program="table1"),
    "b above all": dict(b=32, d=8, dw=16, l=1, n=4, k0=2, k1=2, k2=1, exact=2, program="table1"),
    "smallest": dict(b=2, d=8, l=1, n=2, k0=1, k1=1, k2=1, exact=1),
    "weights": dict(b=4, d=8, dw=24, l=4, n=20, tokens=24, exact=11, k0=18, k1=13, k2=5, sets=2),
    "weights, one slice": dict(b=4, d=16, l=2, n=12, program="weights"),
    "weights, one group": dict(b=8, d=8, dw=24, l=3, n=14, tokens=16),
    "weights, b above d": dict(b=32, d=8, dw=16, l=8, n=11, k0=5),
    "weights, in turn": dict(b=2, d=16, dw=32, l=3, n=7, ahead=False, exact=5),
    "weights, smallest": dict(b=2, d=8, dw=16, l=1, n=2, k0=1, k1=1, k2=1, exact=1),
    "fast": dict(b=4, d=8, dw=32, l=4, n=20, tokens=24, exact=11, k0=18, k1=13, k2=5, sets=2,
                 products="fast"),
    "fast, passes": dict(b=2, d=16, dw=64, l=3, n=7, exact=5, products="fast"),
    "fast, b above d": dict(b=32, d=8, dw=16, l=8, n=11, k0=5, products="fast"),
    "fast, in turn": dict(b=2, d=16, dw=64, l=3, n=12, ahead=False, exact=5, products="fast"),
    "fast, smallest": dict(b=2, d=8, dw=16, l=1, n=2, k0=1, k1=1, k2=1, exact=1, products="fast"),
}


def check(cfg, seed, slow=True, cut=False, heads=None, **order):
    """Plays some heads; every slot must be that of the program."""
    rng = np.random.default_rng(seed)
    if heads is None:
        heads = [random_head(cfg, rng, exact) for exact in (False, True, False)]
    play_native(SequencerTop(cfg), head_program(cfg, rng, heads, slow, cut, **order), seed)


@pytest.mark.parametrize("slow", [False, True], ids=["prompt", "slow"])
@pytest.mark.parametrize("name", CONFIGS)
def test_slots(name, slow):
    """With events as early as can be there is no gap between rows; else they wait as they must."""
    check(CTAConfig(**CONFIGS[name]), 10 + slow, slow)


@pytest.mark.parametrize("seed", range(10))
def test_random_configurations(seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 20)), int(rng.choice((8, 16)))
    ahead = bool(rng.integers(2))
    tokens, exact = int(rng.integers(n, 2 * n + 1)), int(rng.integers(1, n + 1))
    check(CTAConfig(b=int(rng.choice((2, 4, 8, 16, 32))), d=d, dw=d * int(rng.integers(1, 4)), n=n,
                    tokens=tokens, exact=exact, ahead=ahead, program=str(rng.choice(("table1", "weights"))),
                    products=str(rng.choice(("plain", "fast"))),
                    l=int(rng.integers(1, 9)), sets=int(rng.integers(1, 5)),
                    k0=int(rng.integers(1, n + 1)), k1=int(rng.integers(1, n + 1)),
                    k2=int(rng.integers(1, n + 1))), seed, slow=bool(seed % 2))


@pytest.mark.parametrize("name", ["plain", "slices and passes", "weights", "fast"])
def test_new_start_in_mid_head(name):
    """A start leaves nothing of the head before it."""
    cfg = CTAConfig(**CONFIGS[name])
    rng = np.random.default_rng(5)
    check(cfg, 5, cut=True, heads=[random_head(cfg, rng, bool(i % 2)) for i in range(6)])


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("order", ORDERS, ids=repr)
def test_other_programs(order, overlap):
    """The slots are those of the program that the configuration has, whatever its rows are called."""
    name = ("plain", "slices and passes")[order[0] == 0]
    cfg = CTAConfig(**CONFIGS[name] | {"program": program_of(order, overlap, rename="row {}".format)})
    check(cfg, 6, slow=False, order=order, overlap=overlap)
    check(cfg, 7, order=order, overlap=overlap)


def test_a_wrong_order_is_found_out():
    cfg = CTAConfig(**CONFIGS["plain"], program=program_of((0, 1, 2)))
    with pytest.raises(AssertionError, match="seed"):
        check(cfg, 6)


def test_shared_a_is_loaded_once():
    """Fig. 10 rule a, and only where the array holds all of A."""
    cfg = CTAConfig(**CONFIGS["plain"])
    for shared, loads in ((True, 1), (False, 3)):
        head = Head(n=5, m=5, k0=3, k1=4, k=6, shared_a=shared)
        table = head_program(cfg, np.random.default_rng(1), [head], slow=False)
        swaps = sum(row.get(("slot_swap", None), 0) and row["slot_op", None] == 1
                    for row in table.expect.values())
        assert swaps == loads
        check(cfg, 1, heads=[head])


MUTANTS = {
    "far column": (Sequencer, "b - 1 - step", "step", "_load"),
    "gap between rows": (Sequencer, "~busy | row_end", "~busy", "elaborate"),
    "bias on level 2": (Sequencer, "Mux(of_c1 < b, of_c1, b)", "b", "_stream"),
    "level 2 one late": (Sequencer, "index >= row.split", "index > row.split", "_stream"),
    "value past the last centroid": (Sequencer, "issues & (number < ahead.rows)", "issues", "_load"),
    "values over those on their way": (Sequencer, "since.eq(b - 1)", "since.eq(b - 2)", "_load"),
    "values never exchanged": (Sequencer, "slot.first & row.load", "0", "_stream"),
    "C0 read beside K": (Sequencer, "loading & ~beside", "loading", "elaborate"),
    "another row passes": (Sequencer, "free & ~loading &", "free &", "elaborate"),
    "shortcut before the last slice": (Sequencer, "slot.last & row.part_last", "slot.last", "_stream"),
    "zero in CTA mode": (Schedule, "row.exact.eq(exact)", "row.exact.eq(op == Op.SCORE)"),
    "scores of centroids": (Schedule, "Mux(exact, 0, cfg.key_base)", "0"),
    "outputs of centroids": (Schedule, "Mux(exact, 0, cfg.value_base)", "0"),
    "no drain": (Schedule, "draining.eq(1)", "draining.eq(0)"),
    "drain one short": (Schedule, "guard, longest)", "guard - 1, longest)"),
    "old probabilities": (Schedule, "- (take & (op == Op.OUT))", "- 0"),
    "no shortcut pause": (Schedule, "shortcut_pause(cfg),", "0,"),
    "slices too close": (Schedule, "least_stream(cfg) - tokens", "-tokens"),
    "queries among the keys": (Schedule, "Mux(job.cross, job.n, 0)", "0"),
    "one batch too few": (Schedule, "base + b < k)", "base + b + 1 < k)"),
    "part of the weights": (Schedule, 'a_base + at["l"]', "a_base"),
    "A reloaded": (Schedule, "entry.load & ~kept", "entry.load"),
    "set 0": (Schedule, "for k in range(cfg.sets)])[job.set]", "for k in range(cfg.sets)])[0]"),
    "C2 from C1": (Schedule, 'at["k2"] - k1', 'at["k2"]'),
}

WEIGHTS_MUTANTS = {
    "one group for all": (Schedule, "dim = (group + turn) * cfg.b", "dim = turn * cfg.b", "_rows_of_weights"),
    "never in turn": (Schedule, "turned.eq(~pairs | turn)", "turned.eq(1)", "_rows_of_weights"),
    "always in turn": (Schedule, "(rows < least)", "(rows < 1000)", "_rows_of_weights"),
    "too close in turn": (Schedule, "least_stream(cfg, 2)", "least_stream(cfg, 2) - 1", "_rows_of_weights"),
    "counted twice": (Schedule, "(group == 0) & (turn == 0)", "(turn == 0)", "_rows_of_weights"),
    "V counted": (Schedule, " & (op != Op.V)),", "),", "_rows_of_weights"),
    "nothing awaited": (Schedule, "return there", "return Const(1)", "_once_there"),
    "one early": (Schedule, "guard, guard)", "guard - 1, guard)", "_once_there"),
    "V not awaited": (Schedule, "value_guard(cfg))", "2)"),
    "weights of K": (Schedule, "Mux(op == Op.V,", "Mux(op != Op.K,", "_weights"),
    "Q of the first batch": (Schedule, "row.load_addr.eq(base)", "row.load_addr.eq(0)"),
    "one group too few": (Schedule, "group + turn != groups - 1", "group + turn + 2 < groups"),
    "level 2 in C1": (Sequencer, "~queries & level2", "0", "_stream_rows"),
    "a bias of V for level 2": (Sequencer, "(row.op == Op.V) & level2", "(row.op == Op.V) & 0",
                                "_stream_rows"),
    "counted in the pause": (Sequencer, "streaming & row.counted", "row.counted", "_stream_rows"),
    "partial sums of nobody": (Sequencer, "with m.If(row.part_first):", "with m.If(1):", "_stream_rows"),
}


FAST_MUTANTS = {
    "alpha forgotten": (Schedule, "names.index(program.entry[Mode.EXACT])",
                        "names.index(program.reuse_entry)"),
    "alpha of keys alone": (Schedule, "(op == Op.ALPHA) & (lsh == LSH.QUERY)", "0"),
    "alpha too close": (Schedule, "Mux(short > 0, short, 0))]", "0)]"),
    "a slice too few": (Schedule, "Mux(fast, T - 2, T - 1)", "T - 2"),
    "slice by slice": (Schedule, "Mux(fast, 2 * step, step)", "step", "_stride"),
    "pair by pair": (Schedule, "Mux(fast | part[0], step, 0)", "step", "_stride"),
    "C1 of the pair": (Schedule, 'Cat(part[0], at["k1"])', 'Cat(0, at["k1"])'),
    "one order for all": (Schedule, "row.odd.eq(part[0])", "row.odd.eq(0)"),
    "turn of the other slice": (Sequencer, "row.odd if", "0 if", "_fits"),
    "tokens in one bank": (Sequencer, "Cat(row_at[0] ^ row.odd, row_at)", "Cat(0, row_at)", "_stream"),
    "centroids as tokens": (Sequencer, "Cat(at[0] & row.exact, at)", "Cat(at[0], at)", "_stream_rows"),
    "one value twice": (Sequencer, "Mux(pair & ~first, d, 0)", "0", "_load_pairs"),
    "pushed as it is read": (Sequencer, "issues & (step >= 2)", "issues", "_load_pairs"),
    "differences of queries": (Sequencer, "read.less.eq(pair)", "read.less.eq(1)", "_load_pairs"),
    "second values of all": (Sequencer, "(first | pair)", "1", "_load_pairs"),
    "weights for alpha": (Sequencer, "weighs = pair |", "weighs = pair | (ahead.op == Op.ALPHA) |",
                          "_load_pairs"),
}


def found(monkeypatch, mutant, heads):
    """The edit shows in one of the configurations, by name in ``heads``."""
    block, *edit = mutant
    monkeypatch.setattr(program, block.__name__, edited(block, *edit))
    with pytest.raises(AssertionError, match="seed"):
        for config in heads:
            check(CTAConfig(**CONFIGS[config]), 3, slow=False, heads=heads[config])


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name, monkeypatch):
    found(monkeypatch, MUTANTS[name], {
        "slices": [Head(5, 12, k0=9, k1=5, k=10, cross=True, set=1)],
        "plain": [Head(6, 12, k0=9, k1=3, k=5, cross=True, shared_a=True)],
        "b above d": [Head(2, 2, k0=20, k1=2, k=3)]})


@pytest.mark.parametrize("name", WEIGHTS_MUTANTS)
def test_mutants_where_weights_stay(name, monkeypatch):
    found(monkeypatch, WEIGHTS_MUTANTS[name], {
        "weights": [Head(5, 12, k0=9, k1=5, k=10, cross=True, set=1), Head(20, 20, k0=18, k1=9, k=14),
                    *(Head(n, n, k0=n, k1=n, k=n, exact=True) for n in (2, 9, 11))],
        "weights, one group": [Head(2, 2, k0=1, k1=1, k=2)]})


@pytest.mark.parametrize("name", FAST_MUTANTS)
def test_mutants_of_fast_products(name, monkeypatch):
    found(monkeypatch, FAST_MUTANTS[name], {
        "fast": [Head(5, 12, k0=9, k1=5, k=10, cross=True, set=1), Head(19, 19, k0=18, k1=9, k=14),
                 *(Head(n, n, k0=n, k1=n, k=n, exact=True) for n in (2, 9, 11))],
        "fast, in turn": [Head(2, 2, k0=1, k1=1, k=2), Head(3, 7, k0=2, k1=3, k=5, cross=True)]})
