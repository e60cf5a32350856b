"""Projection: z, saturations, reset and pace against model.lookup.bh4 and model.lookup.timing."""

from math import gcd

import numpy as np
import pytest
from amaranth.hdl import Signal

from gen.lookup import projection
from gen.lookup.issue import StageIssue
from gen.lookup.projection import Projection
from gen.lookup.soft_code import SoftCode
from gen.lookup.to_stage import ToStage
from gen.lookup.token_buffer import TokenBuffer
from gen.lookup.z_queue import ZQueue
from model.fixed import Format
from model.lookup.config import LookupConfig, LookupFormats
from model.lookup.stimulus import patterned_job, random_job
from model.lookup.timing import contexts, projection_interval, z_beats
from tests.gen.mutants import edited
from tests.gen.native import simulate
from verif.actors import FREE, STALLED, Pattern
from verif.lookup import projection_program
from verif.ports import NativePorts

SEED = 7
CONFIGS = {
    "an input a cycle": dict(d=8, h=2, tau=3, block=4, multipliers=4),
    "padded": dict(d=24, h=5, tau=4, block=8, multipliers=16),
    "half a block": dict(d=16, h=3, tau=4, block=8, multipliers=4),
    "a block a cycle": dict(d=24, h=5, tau=4, block=8, multipliers=64),
    "smallest": dict(d=8, h=1, tau=1, block=8, multipliers=32),
    "one beat": dict(d=8, h=1, tau=5, block=8, multipliers=64),
    "one multiplier": dict(d=8, h=1, tau=3, block=4, multipliers=1),
    "two copies": dict(d=8, h=3, tau=5, block=4, multipliers=8),
    "three copies": dict(d=8, h=4, tau=5, block=4, multipliers=4),
    "dense": dict(d=24, h=5, tau=3, block=8, multipliers=4, projection="dense"),
    "dense, lanes": dict(d=24, h=5, tau=5, block=32, multipliers=128, projection="dense"),
    "dense, one group": dict(d=8, h=1, tau=1, block=8, multipliers=16, projection="dense"),
}


def check(cfg, plays, block=Projection):
    """Play jobs one after the other: (layer and job, stalls of x and z, None or after how many
    cycles of x a reset comes first). Gives the cycles of z of each."""
    reset, dut, cycles = Signal(), block(cfg), []

    async def bench(ctx):
        ports = NativePorts(ctx, dut)
        for layer, stalls, reset_after in plays:
            await projection_program.load(ports, cfg, *layer)
            if reset_after is not None:
                ports.set("x__valid", 1)
                for _ in range(reset_after):
                    await ports.tick()
                ctx.set(reset, 1)
                await ports.tick()
                ctx.set(reset, 0)
                ports.set("x__valid", 0)
            cycles.append((await projection_program.run(ports, cfg, *layer, SEED, stalls))[1])

    simulate(dut, bench, reset)
    return cycles


def job(cfg, tokens, **how):
    return random_job(cfg, np.random.default_rng(SEED), tokens, **how)


@pytest.mark.parametrize("name", CONFIGS)
def test_values_and_pace(name):
    """Stalls on both sides, saturations; and in steady state a token takes the interval."""
    cfg = LookupConfig(**CONFIGS[name])
    # Contexts start together, so the pattern of the tokens repeats after so many.
    period = 1 if cfg.projection == "dense" else contexts(cfg) // gcd(contexts(cfg), cfg.copies)
    z, *_ = check(cfg, [(job(cfg, 4 * period), (FREE, FREE), None),
                        (job(cfg, 3, saturating=True), (FREE, STALLED), None),
                        (job(cfg, 3), (STALLED, STALLED), None)])
    ends = z[z_beats(cfg) - 1::z_beats(cfg)]
    later = np.subtract(ends[2 * period:], ends[period:-period])
    assert (later == period * projection_interval(cfg)).all(), later


@pytest.mark.parametrize("name", ["padded", "dense, lanes"])
def test_extremes(name):
    """Operands at the ends of their formats."""
    cfg = LookupConfig(**CONFIGS[name])
    check(cfg, [(patterned_job(cfg, np.random.default_rng(SEED), pattern, 3), (FREE, FREE), None)
                for pattern in ("extremes", "largest")])


@pytest.mark.parametrize("name", ["padded", "two copies", "dense"])
def test_reset(name):
    """Tokens cut off by a reset leave nothing; weights stay."""
    cfg = LookupConfig(**CONFIGS[name])
    check(cfg, [(job(cfg, 2), (FREE, FREE), after) for after in (3, 30, 61, 77, 101, 150)])


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(30))
def test_random_configuration(seed):
    """Shapes and formats of every kind, to the cycle."""
    rng = np.random.default_rng(seed)

    def signed(low, high, frac):
        return Format(True, int(rng.integers(low, high + 1)), frac)

    d, tau = int(rng.choice([8, 16, 24, 32, 40])), int(rng.integers(1, 17))
    n = 1 << (d - 1).bit_length()
    block = int(rng.choice([size for size in (4, 8, 16, 32) if size <= n]))
    z = int(rng.integers(5, 9))
    cfg = LookupConfig(
        d=d, h=int(rng.integers(1, 2 + 2 * n // tau)), tau=tau, block=block,
        multipliers=1 << int(rng.integers(min(7, 2 * block.bit_length() - 1))),
        projection=str(rng.choice(["bh4", "bh4", "dense"])), fmt=LookupFormats(
            x=signed(4, 16, 7), weight=signed(4, 16, 9), stage=signed(4, 18, 9),
            mix=Format(False, int(rng.integers(2, 17)), 8), z=signed(7, 16, z),
            z_bias=signed(8, 32, z + int(rng.integers(5)))))
    cfg.require_buildable()
    check(cfg, [(random_job(cfg, rng, 3, saturating=bool(seed % 2)), (FREE, FREE), None),
                (patterned_job(cfg, rng, "extremes", 2), (STALLED, STALLED), None)])


MUTANTS = {
    "rounding of a stage": ("ToStage", ToStage, "floor + half", "floor", "rounded"),
    "coefficient of the skip": ("SoftCode", SoftCode, "self.skip * delay", "self.gain * delay", "_bh4"),
    "end of z": ("SoftCode", SoftCode, "(here < z_beats(cfg))", "1", "elaborate"),
    "end of x": ("TokenBuffer", TokenBuffer, "word < words", "word < words - 1", "within"),
    "order of copies": ("StageIssue", StageIssue, "Mux(here, copies[ctx], next_copy)",
                        "next_copy", "elaborate"),
}


def found_out(tokens, stalls):
    cfg = LookupConfig(d=24, h=9, tau=4, block=4, multipliers=4)
    with pytest.raises(AssertionError, match=f"seed {SEED}|not done|not taken"):
        check(cfg, [(job(cfg, tokens), (FREE, stalls), None)])


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(monkeypatch, name):
    """Each of these faults is found out by the same check."""
    where, block, *edit = MUTANTS[name]
    monkeypatch.setattr(projection, where, edited(block, *edit))
    found_out(2, FREE)


def test_mutant_queue(monkeypatch):
    """A queue that says it is open when it is full."""
    monkeypatch.setattr(projection, "ZQueue", edited(ZQueue, "free != 0)", "1)"))
    found_out(7, Pattern(0.9, 20))
