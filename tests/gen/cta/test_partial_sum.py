"""Partial sums: what each column gets from below, and when a sum comes back."""

import random

import pytest

from gen.cta.partial_sum import Inject, PartialSums
from model.cta.config import CTAConfig
from tests.gen.mutants import each_found, edited
from tests.gen.native import simulate

CONFIGS = {"slices": dict(b=4, d=8, dw=16, l=2, n=24, program="table1"),
           "one slice": dict(b=4, d=8, l=2, n=24),
           "few tokens": dict(b=2, d=8, dw=24, l=8, n=2, program="table1"),
           "weights": dict(b=4, d=8, dw=16, l=2, n=24),
           "weights, one slice": dict(b=8, d=8, l=2, n=24, program="weights"),
           "fast": dict(b=4, d=8, dw=32, l=2, n=24, exact=9, products="fast"),
           "fast, two slices": dict(b=8, d=8, dw=16, l=2, n=24, products="fast")}


def check(cfg, seed, block=PartialSums, cycles=600):
    """Random injections and writes in every cycle; an address is not read as it is written."""
    dut, rng = block(cfg), random.Random(seed)
    # A sum of the hash may stand at any row; K and V use the first 2d.
    rows = [cfg.partial_depth(j < cfg.hash_columns) for j in range(cfg.b)]
    bank = [{} for _ in range(cfg.b)]              # column: row -> sum
    writes, due = {}, {}                           # (column, cycle) -> row, value

    async def bench(ctx):
        for cycle in range(cycles):
            # A hash has rows for all tokens; the columns that have fewer hold junk of it.
            wide = rng.random() < 0.5
            limit = max(rows) if wide else min(rows)
            row = rng.randrange(limit)
            write = rng.random() < 0.6
            ctx.set(dut.write, {"en": write, "addr": row})
            sums = [rng.randint(cfg.acc.min, cfg.acc.max) for _ in range(cfg.b)]
            for j, value in enumerate(sums):
                ctx.set(dut.sum[j], value)
                if write:
                    writes[j, cycle + j] = row
                if (j, cycle) in writes:
                    at = writes[j, cycle]
                    bank[j][at % rows[j]] = (cycle, value if at < rows[j] else None)
            kind, cols = rng.choice(list(Inject)), rng.randint(0, cfg.b)
            if cfg.program.weights_stay and kind is Inject.BIAS:      # see test_biases_of_a_group
                kind = Inject.ZERO
            bias = rng.randint(cfg.fmt.bias.min, cfg.fmt.bias.max)
            known = [r for r in bank[0] if r != row or not write]
            if kind is Inject.PARTIAL and (cfg.slices == 1 or not known):
                kind = Inject.ZERO
            addr = rng.choice(known) if kind is Inject.PARTIAL else 0
            ctx.set(dut.ctl, {"kind": kind, "addr": addr, "bias": bias}
                    | ({} if cfg.program.weights_stay else {"cols": cols}))
            for j in range(cfg.b):
                if kind is Inject.PARTIAL:
                    due[j, cycle + 2 + j] = "partial", addr
                else:
                    due[j, cycle + 2 + j] = "value", bias if kind is Inject.BIAS and j < cols else 0
                what, value = due.get((j, cycle), ("value", None))
                if what == "partial":                  # as it stood two cycles ago
                    stored = bank[j].get(value)
                    now = writes.get((j, cycle)) == value or writes.get((j, cycle - 1)) == value
                    value = None if stored is None or now or stored[0] >= cycle - 2 else stored[1]
                if value is not None:
                    assert ctx.get(dut.inject[j]) == value, f"seed {seed}: {j} in cycle {cycle}"
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("name", CONFIGS)
def test_partial_sums(name):
    check(CTAConfig(**CONFIGS[name]), 41)


def check_groups(cfg, seed, block=PartialSums):
    """Where weights stay: column j takes the bias of j cycles after the first row, for all rows."""
    dut, rng, due = block(cfg), random.Random(seed), {}
    slots, biases = [], [rng.randint(cfg.fmt.bias.min, cfg.fmt.bias.max) for _ in range(800)]
    while len(slots) < 600:
        length, begins = rng.randint(2 * cfg.b - 1, 4 * cfg.b), len(slots)
        for row in range(length):
            kind = rng.choice((Inject.ZERO, Inject.BIAS))
            slots.append((kind, row == 0))
            for j in range(cfg.b):
                due[j, begins + row + 2 + j] = biases[begins + j] if kind is Inject.BIAS else 0

    async def bench(ctx):
        for cycle, (kind, first) in enumerate(slots):
            ctx.set(dut.ctl, {"kind": kind, "first": first, "bias": biases[cycle]})
            for j in range(cfg.b):
                if (j, cycle) in due:
                    assert ctx.get(dut.inject[j]) == due[j, cycle], f"seed {seed}: {j} in cycle {cycle}"
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("name", [name for name in CONFIGS if "weights" in name])
def test_biases_of_a_group(name):
    check_groups(CTAConfig(**CONFIGS[name]), 5)


def check_corrections(cfg, seed, block=PartialSums):
    """With fast products a linear begins with its bias, where it has one, and beta, less the alpha of the
    row; all else begins with 0. Alphas are kept as column 0 shows them."""
    dut, rng, due, acc = block(cfg), random.Random(seed), {}, cfg.acc

    def any_of(fmt):
        return rng.choice((fmt.min, fmt.max, rng.randint(fmt.min, fmt.max)))

    def wrapped(value):
        return (value - acc.min) % (1 << acc.width) + acc.min

    alphas = {row: any_of(acc) for row in range(cfg.alpha_rows)}
    slots = []
    biases, betas = ([any_of(fmt) for _ in range(800)] for fmt in (cfg.fmt.bias, cfg.beta))
    while len(slots) < 600:
        length, begins = rng.randint(2 * cfg.b - 1, 4 * cfg.b), len(slots)
        for row in range(length):
            kind, linear = rng.choice((Inject.ZERO, Inject.BIAS)), rng.random() < 0.8
            alpha = rng.choice([*alphas])
            slots.append((kind, row == 0, linear, alpha))
            for j in range(cfg.b):
                bias = biases[begins + j] if kind is Inject.BIAS else 0
                begin = wrapped(bias + betas[begins + j] - alphas[alpha])
                due[j, begins + row + 2 + j] = begin if linear else 0

    async def bench(ctx):
        for row, value in alphas.items():
            ctx.set(dut.write, {"alpha": 1, "addr": row})
            ctx.set(dut.sum[0], value)
            await ctx.tick()
        ctx.set(dut.write, {})
        # An alpha is asked for a cycle ahead of the rest, what is for the columns comes two ahead.
        for cycle in range(-2, len(slots) - 1):
            kind, first, linear, _ = slots[max(0, cycle)]
            ctx.set(dut.ctl, {"kind": kind, "first": first and cycle >= 0, "begins": linear,
                              "bias": biases[cycle + 2], "beta": betas[cycle + 2]})
            ctx.set(dut.alpha, {"en": slots[cycle + 1][2], "addr": slots[cycle + 1][3]})
            for j in range(cfg.b):
                if (j, cycle) in due:
                    assert ctx.get(dut.inject[j]) == due[j, cycle], f"seed {seed}: {j} in cycle {cycle}"
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("name", ["fast", "fast, two slices"])
def test_corrections(name):
    check_corrections(CTAConfig(**CONFIGS[name]), 6)


def test_read_in_the_cycle_after_the_write():
    """At full speed: a row written in cycle c goes in again with a control of cycle c+1."""
    cfg = CTAConfig(**CONFIGS["slices"])
    dut = PartialSums(cfg)

    async def bench(ctx):
        for cycle in range(40):
            ctx.set(dut.write, {"en": 1, "addr": cycle % 16})
            ctx.set(dut.ctl, {"kind": Inject.PARTIAL, "addr": (cycle - 1) % 16})
            for j in range(cfg.b):
                ctx.set(dut.sum[j], 1000 * j + cycle)
                if cycle > 3 + j:
                    # Read in cycle - 2 by the control for column j, written a cycle earlier.
                    assert ctx.get(dut.inject[j]) == 1000 * j + cycle - 3
            await ctx.tick()

    simulate(dut, bench)


MUTANTS = {
    "bias on all columns": ("at.bias, j < at.cols", "at.bias, 1"),
    "columns not skewed": ("    ctl = at\n", "    pass\n"),
    "writes not skewed": ("write = later\n", "pass\n"),
    "bias of the group before": ("Mux(at.first, comes, kept)", "kept"),
    "bias of column 0": ("Mux(at.first, comes, kept)", "Mux(at.first, at.bias, kept)"),
    "bias of the first row alone": ("kept.eq(bias)", "kept.eq(0)"),
    "partial sums forgotten": ("Mux(at.kind == Inject.PARTIAL, bank.r_data.as_signed(), value)",
                               "value"),
}


def mutated(block):
    check(CTAConfig(**CONFIGS["slices"]), 41, block)
    check_groups(CTAConfig(**CONFIGS["weights"]), 5, block)


CORRECTIONS = {
    "beta of the group before": ("Mux(ctl.first, new, old)", "old", "_begins"),
    "beta of the first row alone": ("old.eq(one)", "old.eq(0)", "_begins"),
    "alpha added": ("begin - alpha", "begin + alpha", "_begins"),
    "bias for all": ("ctl.kind == Inject.BIAS, *chosen", "1, *chosen", "_begins"),
    "alphas not skewed": ('delay(m, corrections[2], 1, name=f"alpha_{j}")', "corrections[2]", "elaborate"),
    "bias without beta": ("both.eq(bias + beta)", "both.eq(bias)", "_corrections"),
    "corrected hashes": ("Mux(at.begins,", "Mux(1,", "_begins"),
}


@pytest.mark.parametrize("name", CORRECTIONS)
def test_mutants_of_corrections(name):
    with pytest.raises(AssertionError, match="seed"):
        check_corrections(CTAConfig(**CONFIGS["fast"]), 6, edited(PartialSums, *CORRECTIONS[name]))


test_mutants = each_found(PartialSums, MUTANTS, mutated)
