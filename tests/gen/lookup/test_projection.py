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
from model.lookup.config import LookupConfig
from model.lookup.stimulus import patterned_job, random_job
from model.lookup.timing import contexts, projection_interval, z_beats
from tests.gen.mutants import edited
from tests.gen.native import simulate
from verif.lookup import projection_program
from verif.lookup.projection_program import FREE, STALLED
from verif.ports import NativePorts

SEED = 7
CONFIGS = {
    "an input a cycle": dict(d=8, h=2, tau=3, block=4, multipliers=4),
    "padded": dict(d=24, h=5, tau=4, block=8, multipliers=16),
    "half a block": dict(d=24, h=5, tau=4, block=8, multipliers=4),
    "a block a cycle": dict(d=24, h=5, tau=4, block=8, multipliers=64),
    "smallest": dict(d=8, h=1, tau=1, block=8, multipliers=32),
    "one beat": dict(d=8, h=1, tau=5, block=8, multipliers=64),
    "one multiplier": dict(d=8, h=1, tau=3, block=4, multipliers=1),
    "two copies": dict(d=8, h=3, tau=5, block=4, multipliers=8),
    "three copies": dict(d=16, h=7, tau=5, block=8, multipliers=32),
    "dense": dict(d=24, h=5, tau=3, block=8, multipliers=4, projection="dense"),
    "dense, lanes": dict(d=24, h=5, tau=5, block=32, multipliers=128, projection="dense"),
    "dense, one group": dict(d=8, h=1, tau=1, block=8, multipliers=16, projection="dense"),
}


def check(cfg, layer, stalls=(FREE, FREE), reset_after=None, block=Projection):
    """Play a job; with ``reset_after`` cycles of it before a reset. Gives the cycles of x, z."""
    reset, dut, cycles = Signal(), block(cfg), []

    async def bench(ctx):
        ports = NativePorts(ctx, dut)
        await projection_program.load(ports, cfg, *layer)
        if reset_after is not None:
            ports.set("x__valid", 1)
            for _ in range(reset_after):
                await ports.tick()
            ctx.set(reset, 1)
            await ports.tick()
            ctx.set(reset, 0)
            ports.set("x__valid", 0)
        cycles.extend(await projection_program.run(ports, cfg, *layer, SEED, stalls))

    simulate(dut, bench, reset)
    return cycles


def job(cfg, tokens, **how):
    return random_job(cfg, np.random.default_rng(SEED), tokens, **how)


@pytest.mark.parametrize("name", CONFIGS)
def test_values(name):
    """Few and no saturations, stalls on both sides."""
    cfg = LookupConfig(**CONFIGS[name])
    check(cfg, job(cfg, 3), (STALLED, STALLED))
    check(cfg, job(cfg, 3, saturating=True), (FREE, STALLED))


@pytest.mark.parametrize("pattern", ["extremes", "largest"])
@pytest.mark.parametrize("name", ["padded", "dense, lanes"])
def test_extremes(name, pattern):
    """Operands at the ends of their formats."""
    cfg = LookupConfig(**CONFIGS[name])
    check(cfg, patterned_job(cfg, np.random.default_rng(SEED), pattern, 3))


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "one multiplier"])
def test_pace(name):
    """In steady state a token takes the interval, to the cycle."""
    cfg = LookupConfig(**CONFIGS[name])
    # Contexts start together, so the pattern of the tokens repeats after so many.
    period = 1 if cfg.projection == "dense" else contexts(cfg) // gcd(contexts(cfg), cfg.copies)
    _, z = check(cfg, job(cfg, 4 * period))
    ends = z[z_beats(cfg) - 1::z_beats(cfg)]
    later = np.subtract(ends[2 * period:], ends[period:-period])
    assert (later == period * projection_interval(cfg)).all(), later


@pytest.mark.parametrize("name, after", [("padded", 3), ("padded", 30), ("padded", 101),
                                         ("padded", 150), ("two copies", 77), ("dense", 61)])
def test_reset(name, after):
    """Tokens cut off by a reset leave nothing; weights stay."""
    cfg = LookupConfig(**CONFIGS[name])
    check(cfg, job(cfg, 3), reset_after=after)


MUTANTS = {
    "rounding of a stage": ("ToStage", ToStage, "floor + half", "floor", "rounded"),
    "coefficient of the skip": ("SoftCode", SoftCode, "self.skip * x", "self.gain * x", "_bh4"),
    "end of z": ("SoftCode", SoftCode, "(here < z_beats(cfg))", "1", "elaborate"),
    "end of x": ("TokenBuffer", TokenBuffer, "word < words", "word < words - 1", "within"),
    "full queue": ("ZQueue", ZQueue, "free != 0)", "1)", "elaborate"),
    "order of copies": ("StageIssue", StageIssue, "Mux(here, copies[ctx], next_copy)",
                        "next_copy", "elaborate"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(monkeypatch, name):
    """Each of these faults is found out by the same check."""
    where, block, *edit = MUTANTS[name]
    monkeypatch.setattr(projection, where, edited(block, *edit))
    cfg = LookupConfig(**CONFIGS["padded"] | {"h": 15})
    with pytest.raises(AssertionError, match=f"seed {SEED}|not done|not taken"):
        check(cfg, job(cfg, 5), (FREE, (0.9, 20)))
