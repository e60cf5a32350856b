"""Schedule and sequencer: every slot of Table I in its cycle, for the shapes where loops bend."""

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
    "in turn": dict(b=4, d=8, dw=16, l=2, n=12, ahead=False),
    "slices": dict(b=4, d=8, dw=24, l=4, n=13, tokens=20, exact=11, k0=9, k1=13, k2=5, sets=2),
    "slices, passes, b above d": dict(b=16, d=8, dw=16, l=8, n=11),
    "slices and passes": dict(b=2, d=8, dw=24, l=3, n=7, k0=7, k1=6, k2=3),
    "b above all": dict(b=32, d=8, dw=16, l=1, n=4, k0=2, k1=2, k2=1, exact=2),
    "smallest": dict(b=2, d=8, l=1, n=2, k0=1, k1=1, k2=1, exact=1),
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


@pytest.mark.parametrize("seed", range(6))
def test_random_configurations(seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 20)), int(rng.choice((8, 16)))
    ahead = bool(rng.integers(2))
    tokens, exact = int(rng.integers(n, 2 * n + 1)), int(rng.integers(1, n + 1))
    check(CTAConfig(b=int(rng.choice((2, 4, 8, 16, 32))), d=d, dw=d * int(rng.integers(1, 4)), n=n,
                    tokens=tokens, exact=exact, ahead=ahead,
                    l=int(rng.integers(1, 9)), sets=int(rng.integers(1, 5)),
                    k0=int(rng.integers(1, n + 1)), k1=int(rng.integers(1, n + 1)),
                    k2=int(rng.integers(1, n + 1))), seed, slow=bool(seed % 2))


@pytest.mark.parametrize("name", ["plain", "slices and passes"])
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
    cfg = CTAConfig(**CONFIGS[name], program=program_of(order, overlap, rename="row {}".format))
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
    "no drain": (Schedule, "drain.eq(drain_guard(cfg) - 1)", "drain.eq(0)"),
    "drain one short": (Schedule, "drain_guard(cfg) - 1", "drain_guard(cfg) - 2"),
    "old probabilities": (Schedule, "ap_ready.eq(0)\n\n", "ap_ready.eq(ap_ready)\n\n"),
    "no shortcut pause": (Schedule, "shortcut_pause(cfg),", "0,"),
    "slices too close": (Schedule, "slice_interval(cfg) - stop - tokens", "-tokens"),
    "queries among the keys": (Schedule, "Mux(job.cross, job.n, 0)", "0"),
    "one batch too few": (Schedule, "base + b < self.k)", "base + b + 1 < self.k)"),
    "part of the weights": (Schedule, 'a_base + at["l"]', "a_base"),
    "A reloaded": (Schedule, "loads & ~kept", "loads"),
    "set 0": (Schedule, "for k in range(cfg.sets)])[job.set]", "for k in range(cfg.sets)])[0]"),
    "C2 from C1": (Schedule, "+ base - self.k1", "+ base"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name, monkeypatch):
    """Each edit shows in one of two configurations."""
    block, *edit = MUTANTS[name]
    monkeypatch.setattr(program, block.__name__, edited(block, *edit))
    heads = {"slices": [Head(5, 12, k0=9, k1=5, k=10, cross=True, set=1)],
             "plain": [Head(6, 12, k0=9, k1=3, k=5, cross=True, shared_a=True)],
             "b above d": [Head(2, 2, k0=20, k1=2, k=3)]}
    with pytest.raises(AssertionError, match="seed"):
        for config in heads:
            check(CTAConfig(**CONFIGS[config]), 3, slow=False, heads=heads[config])
