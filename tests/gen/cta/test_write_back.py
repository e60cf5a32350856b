"""Write-back: K, V and O reach their rows when each column shows its value."""

import random

import pytest
from amaranth.sim import Simulator

from gen.cta.ppe import PPEOp
from gen.cta.write_back import WriteBackControl
from model.cta.config import CTAConfig
from model.cta.timing import LINEAR_STAGES, RESULT_STAGES
from tests.gen.mutants import edited

CONFIGS = {"plain": dict(b=4, d=8, l=2, n=24), "b above d": dict(b=16, d=8, l=2, n=40, k1=33, k2=5, exact=40),
           "smallest": dict(b=2, d=8, l=1, n=2, k0=1, k1=1, k2=1, exact=1)}


def program(cfg, rng, heads=3):
    """Inputs by cycle, and the write commands (column, row, v) that they must cause, by cycle."""
    inputs, commands, cycle = {}, {"kv": {}, "o": {}}, 2
    for _ in range(heads):
        exact = rng.getrandbits(1)
        inputs[cycle] = {"start": 1, "exact": exact}
        cycle += 1
        k = rng.randint(1, cfg.exact if exact else cfg.k12)
        k0 = rng.randint(1, cfg.exact if exact else cfg.k0)
        batches = [(op, base, min(cfg.b, k - base)) for base in range(0, k, cfg.b)
                   for op in (PPEOp.K, PPEOp.V)]
        batches += [(PPEOp.OUT, base, min(cfg.b, k0 - base)) for base in range(0, k0, cfg.b)]
        for op, row, cols in batches:
            length = rng.randint(1, 4) if op is PPEOp.OUT else cfg.d
            for index in range(length):
                inputs[cycle + index] = {"op": op, "first": index == 0, "last": index == length - 1,
                                         "cols": cols}
            if op is PPEOp.OUT:    # its results leave when the last is in, then the array drains
                name, burst = "o", cycle + length - 1 + RESULT_STAGES
                cycle += length + 2 * cfg.d + 2
            else:
                name, burst = "kv", cycle + LINEAR_STAGES
                # K behind C0, V behind C1 and C2, where there are centroids.
                row += 0 if exact else cfg.slices * (cfg.k12 if op is PPEOp.V else cfg.k0)
                cycle += max(cfg.b, cfg.d)
            commands[name] |= {burst + column: (column, row + column, op is PPEOp.V)
                               for column in range(cols)}
            # Partial sums, queries, scores, hashes and empty slots cause nothing.
            for _ in range(rng.randrange(4)):
                inputs[cycle] = {"op": rng.choice((PPEOp.NONE, PPEOp.PSUM, PPEOp.HASH, PPEOp.Q,
                                                   PPEOp.SCORE)),
                                 "first": rng.getrandbits(1), "last": rng.getrandbits(1),
                                 "cols": rng.randint(0, cfg.b)}
                cycle += 1
        cycle += cfg.b + RESULT_STAGES
    return inputs, commands, cycle


def check(cfg, seed, block=WriteBackControl):
    dut = block(cfg)
    inputs, commands, end = program(cfg, random.Random(seed))

    async def bench(ctx):
        for cycle in range(end):
            now = dict(inputs.get(cycle, {}))
            ctx.set(dut.start, now.pop("start", 0))
            if "exact" in now:
                ctx.set(dut.exact, now.pop("exact"))
            ctx.set(dut.ppe, {"op": PPEOp.NONE, "first": 0, "last": 0, "cols": 0} | now)
            for name, write in (("kv", dut.kv), ("o", dut.o)):
                got = (ctx.get(write.col), ctx.get(write.addr), bool(ctx.get(write.v)))
                got = got if ctx.get(write.en) else None
                want = commands[name].get(cycle)
                assert got == want, f"seed {seed}: {name} in cycle {cycle}"
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-9)
    sim.add_testbench(bench)
    sim.run()


@pytest.mark.parametrize("name", CONFIGS)
def test_write_back(name):
    check(CTAConfig(**CONFIGS[name]), 31)


MUTANTS = {
    "K one late": ("elaborate", "ppe.first, LINEAR_STAGES - 1", "ppe.first, LINEAR_STAGES"),
    "O one early": ("elaborate", "ppe.last, RESULT_STAGES - 1", "ppe.last, RESULT_STAGES - 2"),
    "K over C0": ("elaborate", "cfg.key_base)", "0)"),
    "V where K lies": ("elaborate", "cfg.value_base)", "cfg.key_base)"),
    "V to the keys": ("_burst", "is_v.eq(v)", "is_v.eq(0)"),
    "columns that are not live": ("_burst", "busy & (col < live)", "busy"),
    "every batch to the first rows": ("_burst", "base + cfg.b", "base"),
    "rows of the head before": ("_burst", "[base.eq(0), busy.eq(0)]", "busy.eq(0)"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name):
    method, old, new = MUTANTS[name]
    with pytest.raises(AssertionError, match="seed"):
        check(CTAConfig(**CONFIGS["plain"]), 31, edited(WriteBackControl, old, new, method))
