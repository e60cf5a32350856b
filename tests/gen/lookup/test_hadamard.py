"""Hadamard network: values and latency against model.lookup.bh4 and model.lookup.timing."""

import numpy as np
import pytest
from amaranth.hdl import Signal

from gen.lookup import hadamard
from gen.lookup.hadamard import ButterflyLevel, Hadamard
from model.lookup import bh4
from model.lookup.config import LookupConfig
from model.lookup.timing import beats, hadamard_latency, z_lanes
from tests.gen.mutants import edited
from tests.gen.native import simulate

SEED = 3
CONFIGS = {
    "a lane": dict(d=8, block=4, multipliers=4),
    "two lanes": dict(d=24, block=4, multipliers=8),
    "one beat": dict(d=8, block=8, multipliers=64),
    "lanes of a block": dict(d=16, block=8, multipliers=64),
    "SRAM": dict(d=64, block=4, multipliers=4),
    "SRAM of two lanes": dict(d=128, block=8, multipliers=16),
}


def check(cfg, gaps=0.0, reset_after=None, block=Hadamard, frames=5):
    """Frames through the network; without gaps in a frame also the cycle of every beat."""
    rng = np.random.default_rng(SEED)
    fmt = cfg.fmt.stage
    u = rng.integers(fmt.min, fmt.max + 1, (frames, cfg.n))
    u[1], u[2] = fmt.min, fmt.max
    sent = u.reshape(-1, z_lanes(cfg))
    expected = bh4.hadamard(u).reshape(-1, z_lanes(cfg))
    idle = {0: 0, 2: 1, 3: 2 * beats(cfg)}       # cycles before a frame
    reset = Signal()
    dut = block(cfg)

    async def bench(ctx):
        for _ in range(reset_after or 0):
            ctx.set(dut.valid, 1)
            await ctx.tick()
        ctx.set(dut.valid, 0)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        sends, got, at, cycle, wait = [], [], 0, 0, idle[0]
        while len(got) < len(expected) and cycle < 40 * len(expected) + 500:
            go = at < len(sent) and wait == 0 and rng.random() >= gaps
            wait = max(0, wait - 1)
            ctx.set(dut.valid, go)
            for lane, port in enumerate(dut.i):
                ctx.set(port, int(sent[at][lane]) if go else int(rng.integers(fmt.min, fmt.max)))
            if go:
                sends.append(cycle)
                at += 1
                if at % beats(cfg) == 0:
                    wait = idle.get(at // beats(cfg), 0)
            if ctx.get(dut.o_valid):
                got.append((cycle, [ctx.get(port) for port in dut.o]))
            await ctx.tick()
            cycle += 1
        assert [values for _, values in got] == expected.tolist(), f"seed {SEED}"
        if not gaps:
            assert [c for c, _ in got] == [c + hadamard_latency(cfg) for c in sends], f"seed {SEED}"

    simulate(dut, bench, reset)


@pytest.mark.parametrize("gaps", [0, 0.5])
@pytest.mark.parametrize("name", CONFIGS)
def test_transform(name, gaps):
    """Extremes, frames back to back and apart, gaps within frames."""
    check(LookupConfig(**CONFIGS[name]), gaps)


@pytest.mark.parametrize("after", [1, 5, 37, 70])
def test_reset(after):
    """A frame cut off by a reset leaves nothing."""
    check(LookupConfig(**CONFIGS["SRAM"]), 0.2, after, frames=3)


@pytest.mark.parametrize("old, new", [("pair, difference, b", "pair, total, b"),
                                      ("leave != half - 1", "leave != half"),
                                      ("pair, total, a", "pair, a, total")])
def test_mutant_level(monkeypatch, old, new):
    """A level that keeps, drains or gives the wrong words is found out."""
    monkeypatch.setattr(hadamard, "ButterflyLevel", edited(ButterflyLevel, old, new))
    with pytest.raises(AssertionError, match=f"seed {SEED}"):
        check(LookupConfig(**CONFIGS["two lanes"]))


def test_mutant_order():
    """Lanes that are not in natural order are found out."""
    with pytest.raises(AssertionError, match=f"seed {SEED}"):
        check(LookupConfig(**CONFIGS["two lanes"]),
              block=edited(Hadamard, "a - b if lane & half else a + b",
                           "a + b if lane & half else a - b"))
