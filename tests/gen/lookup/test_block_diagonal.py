"""Block-diagonal product: values and cycles against model.lookup.bh4 and model.lookup.timing."""

import numpy as np
import pytest

from gen.lookup import block_diagonal
from gen.lookup.block_diagonal import BlockDiagonal, DotProduct, operand
from model.lookup import bh4
from model.lookup.config import STAGES, LookupConfig
from model.lookup.timing import block_latency, outputs, steps, z_lanes
from model.lookup.weight_layout import weight_order
from tests.gen.mutants import edited
from tests.gen.native import simulate

SEED = 5
CONFIGS = {
    "one multiplier": dict(d=8, h=2, tau=3, block=4, multipliers=1),
    "half a block": dict(d=8, h=4, tau=3, block=8, multipliers=4),
    "an input a cycle": dict(d=16, h=4, tau=3, block=4, multipliers=4),
    "two": dict(d=16, h=4, tau=3, block=8, multipliers=16),
    "a block a cycle": dict(d=8, h=4, tau=3, block=8, multipliers=64),
    "dense": dict(d=24, h=5, tau=3, block=8, multipliers=4, projection="dense"),
    "dense, two": dict(d=24, h=5, tau=3, block=16, multipliers=32, projection="dense"),
}


def draw(rng, fmt, size):
    """Random values, some rows all at the low end: products of two have the largest sums."""
    raw = rng.integers(fmt.min, fmt.max + 1, size)
    raw.reshape(-1, size[-1])[::3] = fmt.min
    return raw


def operands(cfg, rng):
    """What to feed, cycle by cycle as (inputs, weights, first, last), and what must leave."""
    lanes, count = z_lanes(cfg), outputs(cfg)
    w = draw(rng, cfg.fmt.weight, cfg.weight_shape)
    words = weight_order(cfg, w).reshape(-1, cfg.multipliers)
    if cfg.projection == "dense":
        x = np.zeros((1, steps(cfg) * lanes), dtype=np.int64)
        x[:, :cfg.d] = draw(rng, operand(cfg), (1, cfg.d))
        result = np.zeros((1, -(-cfg.codes // count) * count), dtype=np.int64)
        result[0, :cfg.codes] = w @ x[0, :cfg.d]
        feed = [x] * (result.size // count)
    else:
        y = draw(rng, operand(cfg), (cfg.copies * STAGES, cfg.n))
        w = w.reshape(cfg.copies * STAGES, *w.shape[2:])
        result = np.stack([bh4.block_product(cfg, row[None], b)[0] for row, b in zip(y, w)])
        feed = y.reshape(-1, cfg.block).repeat(cfg.block // count, axis=0)
    inputs = np.stack(feed).reshape(-1, lanes)
    step = np.arange(len(inputs)) % steps(cfg)
    return inputs, words, step == 0, step == steps(cfg) - 1, result.reshape(-1, lanes)


def check(cfg, gaps=0.0, block=BlockDiagonal):
    """Groups back to back, or with idle cycles before some."""
    rng = np.random.default_rng(SEED)
    inputs, words, first, last, expected = operands(cfg, rng)
    assert len(inputs) == len(words)
    dut = block(cfg)

    async def bench(ctx):
        at, cycle, got, due = 0, 0, [], []
        while cycle < 3 * len(inputs) + 40:
            go = at < len(inputs) and not (first[at] and rng.random() < gaps)
            ctx.set(dut.valid, go)
            ctx.set(dut.first, bool(first[at]) if go else int(rng.integers(2)))
            ctx.set(dut.last, bool(last[at]) if go else int(rng.integers(2)))
            if go:
                for port, value in zip(dut.x, inputs[at]):
                    ctx.set(port, int(value))
                for port, value in zip(dut.w, words[at]):
                    ctx.set(port, int(value))
                if last[at]:
                    due += [cycle + block_latency(cfg) + k
                            for k in range(outputs(cfg) // z_lanes(cfg))]
                at += 1
            if ctx.get(dut.o_valid):
                got.append((cycle, [ctx.get(port) for port in dut.o]))
            await ctx.tick()
            cycle += 1
        assert [values for _, values in got] == expected.tolist(), f"seed {SEED}"
        assert [c for c, _ in got] == due, f"seed {SEED}"

    simulate(dut, bench)


@pytest.mark.parametrize("gaps", [0, 0.5])
@pytest.mark.parametrize("name", CONFIGS)
def test_product(name, gaps):
    """Values with the largest sums, and the cycle of each."""
    check(LookupConfig(**CONFIGS[name]), gaps)


def test_mutant_accumulator(monkeypatch):
    """A sum that does not start anew is found out."""
    monkeypatch.setattr(block_diagonal, "DotProduct",
                        edited(DotProduct, "Mux(self.first, 0, total)", "total"))
    with pytest.raises(AssertionError, match=f"seed {SEED}"):
        check(LookupConfig(**CONFIGS["two"]))


def test_mutant_output_register():
    """Results that leave in the wrong order are found out."""
    with pytest.raises(AssertionError, match=f"seed {SEED}"):
        check(LookupConfig(**CONFIGS["two"]),
              block=edited(BlockDiagonal, "Cat(totals)", "Cat(reversed(totals))"))
