"""Hash unit against ``model.lookup.hash``: rows, saturations, pace, under stalls."""

import numpy as np
import pytest

from gen.blocks.outlet import Outlet
from gen.lookup.grouping import Grouping
from gen.lookup.hash import Hash
from gen.lookup.score import Score
from model.fixed import Format
from model.lookup.config import LookupConfig, LookupFormats
from model.lookup.timing import hash_latency, z_lanes
from tests.gen.mutants import edited
from tests.gen.native import simulate
from verif.actors import FREE, STALLED
from verif.lookup import hash_program
from verif.ports import NativePorts

CONFIGS = {
    "plain": dict(d=16, h=5, tau=4, gelu_scaled=False),
    "gelu": dict(d=16, h=4, tau=8),
    "wide lanes": dict(d=64, h=9, tau=3, block=16, multipliers=128),
    "lanes straddle": dict(d=16, h=7, tau=5, block=8, multipliers=32),
    "tau 16": dict(d=16, h=2, tau=16, block=4, multipliers=4),
    "tau 1": dict(d=8, h=20, tau=1, block=8, multipliers=64),
    "one table": dict(d=8, h=1, tau=6),
    "all one": dict(d=8, h=1, tau=1),
    "neighbours": dict(d=16, h=3, tau=6, neighbours=True),
    "neighbours plain": dict(d=16, h=3, tau=3, neighbours=True, gelu_scaled=False),
    "neighbours tau 1": dict(d=8, h=2, tau=1, neighbours=True),
    "neighbours tau 16": dict(d=8, h=2, tau=16, neighbours=True),
    "dense": dict(d=24, h=5, tau=3, projection="dense"),
    "formats": dict(d=8, h=3, tau=5, neighbours=True, fmt=LookupFormats(
        z=Format(True, 14, 10), score=Format(False, 9, 4), z_bias=Format(True, 16, 12))),
}


def play(cfg, seed, tokens=12, block=Hash, stalls=(FREE, FREE), shift=None):
    rng = np.random.default_rng(seed)
    z = hash_program.random_z(cfg, rng, tokens)
    point = cfg.score_point - cfg.score.frac
    shift_s = rng.integers(max(0, point - 3), point + 4, cfg.h) if shift is None else (
        np.full(cfg.h, shift))
    dut, result = block(cfg), []

    async def bench(ctx):
        result.append(await hash_program.run(NativePorts(ctx, dut), cfg, z, shift_s, seed, stalls))

    simulate(dut, bench)
    return result[0]


@pytest.mark.parametrize("stalls", [(FREE, FREE), (STALLED, FREE), (FREE, STALLED),
                                    (STALLED, STALLED)], ids=["free", "in", "out", "both"])
@pytest.mark.parametrize("name", CONFIGS)
def test_rows(name, stalls):
    play(LookupConfig(**CONFIGS[name]), 11, stalls=stalls)


@pytest.mark.parametrize("shift", [0, 31])
@pytest.mark.parametrize("name", ["gelu", "plain", "neighbours"])
def test_shifts_at_both_ends(name, shift):
    """Nearly all scores saturate, or nothing of them is left."""
    play(LookupConfig(**CONFIGS[name]), 12, shift=shift)


@pytest.mark.parametrize("name", CONFIGS)
def test_pace(name):
    """A row a cycle, or a beat of z a cycle; and the latency of the first row."""
    cfg = LookupConfig(**CONFIGS[name])
    beats, rows = play(cfg, 13, tokens=8)
    whole = -(-cfg.tau // z_lanes(cfg)) - 1
    assert rows[0] == beats[whole] + hash_latency(cfg)
    ideal = max(len(rows), len(beats))
    assert rows[-1] - beats[0] <= ideal + hash_latency(cfg) + 1


MUTANTS = {
    "zero counts as positive": (Score, edited(Score, "eq(z > 0)", "eq(z >= 0)"), "gelu"),
    "logarithm one step off": (Score, edited(Score, "index[:cfg.log_index]]",
                                             "(index + 1)[:cfg.log_index]]"), "gelu"),
    "score floors": (Score, edited(Score, "carry.eq(up)", "carry.eq(0)"), "gelu"),
    "shift not limited": (Score, edited(Score, "Mux(places > most, most, places)", "places"),
                          "tau 16"),
    "flip counts once": (Score, edited(Score, "chosen << 1", "chosen", "_neighbour"),
                         "neighbours"),
    "flip is not rounded": (Score, edited(Score, "_bit(product, cfg.flip_shift - 1)", "0", "_neighbour"),
                            "neighbours"),
    "last beat is full": (Grouping, edited(Grouping, "codes % lanes or lanes",
                                           "lanes"), "lanes straddle"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_found(name, monkeypatch):
    block, mutant, config = MUTANTS[name]
    monkeypatch.setattr(f"gen.lookup.hash.{block.__name__}", mutant)
    with pytest.raises(AssertionError):
        play(LookupConfig(**CONFIGS[config]), 14, shift=18 if name == "shift not limited" else None)


def test_lost_credit_is_found(monkeypatch):
    """Without the count of free places rows are overwritten where the stream is slow."""
    monkeypatch.setattr("gen.lookup.hash.Outlet", edited(
        Outlet, "self.open.eq(free != 0)", "self.open.eq(1)"))
    with pytest.raises(AssertionError):
        play(LookupConfig(**CONFIGS["gelu"]), 15, stalls=(FREE, STALLED))

