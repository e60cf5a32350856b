"""Write-back: K, V and O reach their rows when each column shows its value."""

import random

import pytest

from gen.cta.ppe import PPEOp
from gen.cta.write_back import WriteBackControl
from model.cta.config import CTAConfig
from model.cta.timing import LINEAR_STAGES, RESULT_STAGES
from tests.gen.mutants import edited
from tests.gen.native import simulate

CONFIGS = {"plain": dict(b=4, d=8, l=2, n=24), "b above d": dict(b=16, d=8, l=2, n=40, k1=33, k2=5, exact=40),
           "smallest": dict(b=2, d=8, l=1, n=2, k0=1, k1=1, k2=1, exact=1)}
WEIGHTS = {"groups": dict(b=4, d=16, dw=32, l=2, n=24), "one group": dict(b=16, d=8, dw=16, l=2, n=9)}


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

    simulate(dut, bench)


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


def check_rows(cfg, seed, block=WriteBackControl):
    """Where weights stay: a command a row, in the cycle in which column 0 shows it."""
    dut, rng = block(cfg), random.Random(seed)
    inputs, wanted, cycle, groups = {}, {}, 2, -(-cfg.d // cfg.b)
    for _ in range(4):
        exact = rng.getrandbits(1)
        inputs[cycle] = {"start": 1, "exact": exact}
        cycle += 1 + rng.randrange(3)
        limit = cfg.exact if exact else min(cfg.k0, cfg.k1)
        for op, base in ((PPEOp.K, cfg.key_base), (PPEOp.V, cfg.value_base), (PPEOp.Q, 0)):
            count = rng.randint(1, limit)
            for group in range(groups):
                for row in range(count):
                    inputs[cycle] = {"op": op, "first": row == 0, "last": row == count - 1}
                    wanted[cycle + LINEAR_STAGES] = (op is PPEOp.V, op is PPEOp.Q, group,
                                                     row + (0 if exact else base))
                    cycle += 1
                for _ in range(rng.randrange(3)):
                    inputs[cycle] = {"op": rng.choice((PPEOp.NONE, PPEOp.PSUM)), "last": 1, "first": 1}
                    cycle += 1

    async def bench(ctx):
        for at in range(cycle):
            now = dict(inputs.get(at, {}))
            ctx.set(dut.start, now.pop("start", 0))
            if "exact" in now:
                ctx.set(dut.exact, now.pop("exact"))
            ctx.set(dut.ppe, {"op": PPEOp.NONE, "first": 0, "last": 0} | now)
            got = tuple(ctx.get(dut.kv[name]) for name in ("v", "q", "group", "addr"))
            assert (got if ctx.get(dut.kv.en) else None) == wanted.get(at), f"seed {seed}: cycle {at}"
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("name", WEIGHTS)
def test_rows_where_weights_stay(name):
    check_rows(CTAConfig(**WEIGHTS[name]), 3)


ROWS = {
    "every group the first": ("group.eq(Mux(group == -(-self.cfg.d // self.cfg.b) - 1, 0, group + 1))",
                              "group.eq(0)"),
    "rows of the group before": ("Mux(ppe.first, 0, row)", "row"),
    "one late": ("delay(m, known, LINEAR_STAGES, ", "delay(m, known, LINEAR_STAGES + 1, "),
    "Q for V": ("known.q.eq(ppe.op == PPEOp.Q)", "known.q.eq(ppe.op == PPEOp.V)"),
}


@pytest.mark.parametrize("name", ROWS)
def test_mutants_of_rows(name):
    with pytest.raises(AssertionError, match="seed"):
        check_rows(CTAConfig(**WEIGHTS["groups"]), 3, edited(WriteBackControl, *ROWS[name], "_rows"))
