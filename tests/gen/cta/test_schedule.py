"""Schedule alone: the rows of Table I for a consumer that pauses, and when they may be taken."""

import random

import numpy as np
import pytest

from gen.cta.schedule import Schedule
from model.cta.config import CTAConfig
from model.cta.schedule import Op
from model.cta.timing import drain_guard, query_guard, value_guard
from tests.gen.mutants import each_found
from tests.gen.native import simulate
from verif.cta.sequencer_program import Head, random_head, rows
from verif.ports import NativePorts

CONFIGS = {
    "plain": dict(b=4, d=8, l=2, n=12),
    "b above d": dict(b=16, d=8, l=3, n=20),
    "slices and passes": dict(b=2, d=8, dw=24, l=3, n=7, k0=7, k1=6, k2=3, sets=2, program="table1"),
    "weights": dict(b=2, d=8, dw=24, l=3, n=17, sets=2),
    "weights, one slice": dict(b=4, d=8, l=2, n=9, program="weights"),
    "fast": dict(b=2, d=8, dw=32, l=3, n=17, sets=2, products="fast"),
}


def check(cfg, seed, heads, block=Schedule):
    """Runs heads; each row must come in order, and be valid from its cycle on."""
    dut, rng = block(cfg), random.Random(seed)

    async def bench(ctx):
        for head in heads:
            await _run(ctx, dut, cfg, head, rng, f"seed {seed}, {head}")

    simulate(dut, bench)


async def _run(ctx, dut, cfg, head, rng, note):
    ports = NativePorts(ctx, dut)
    for name, value in (("job", head.word), ("k0", head.k0), ("k1", head.k1), ("k", head.k),
                        ("start", 1), ("ap_done", 0), ("out_issued", 0), ("rows__ready", 0),
                        *([("query_issued", 0), ("value_issued", 0)] if cfg.program.weights_stay else []),
                        ("outputs_free", 0)):
        ports.set(name, value)
    await ctx.tick()
    ctx.set(dut.start, 0)

    levels = {"c1_done": False, "centroids_done": False, "outputs_free": False}
    scored, ap_at, ap_ready, drained = 0, None, 0, 0         # batches, and cycles
    aggregated = 0                                           # batches that PAG has begun
    there = {Op.Q: float("inf"), Op.V: 0}                    # cycle from which it is in its bank
    stay = cfg.program.weights_stay
    under_way, left, length = None, 0, 0                     # row and its slots
    cycle, payload = 0, dut.rows.payload
    waiting = list(rows(cfg, head))
    while waiting:
        row = waiting[0]
        # What the other blocks say: C1, all centroids, AP of a batch, the end of an output row.
        for name in levels:
            levels[name] |= rng.random() < (0.002 if name == "outputs_free" else 0.02)
            ctx.set(getattr(dut, name), levels[name])
        ctx.set(dut.ap_done, cycle == ap_at)
        ends = left == 1 and under_way.op
        ctx.set(dut.out_issued, ends == Op.OUT)
        for op, port, guard in ((Op.Q, "query_issued", query_guard), (Op.V, "value_issued", value_guard)):
            begins = stay and left and left == length and under_way.op is op and under_way.stream[0]["final"]
            if stay:
                ctx.set(getattr(dut, port), bool(begins))
            if begins:
                there[op] = cycle + guard(cfg)
        ready = left <= 1 and rng.random() < 0.5
        ctx.set(dut.rows.ready, ready)

        may = {"": True, "c1": levels["c1_done"], "centroids": levels["centroids_done"],
               "queries": cycle >= there[Op.Q],
               "probability": ap_ready and cycle >= max(drained, there[Op.V])}[row.waits]
        writes = row.op is (Op.Q if stay else Op.OUT) and (not stay or row.stream[0]["part_last"])
        held = may and writes and not levels["outputs_free"]
        assert ctx.get(dut.held) == (held and ready), f"{note}: held in cycle {cycle}"
        may = may and not held
        assert ctx.get(dut.rows.valid) == may, f"{note}: valid, {row.op.name} in cycle {cycle}"
        assert ctx.get(dut.ended) == 0, note
        if may:
            got = [ctx.get(payload[name]) for name in ("op", "length", "pad", "load")]
            want = [row.op, len(row.stream), row.pause, bool(row.load)]
            assert got == want, f"{note}: row in cycle {cycle}"

        if cycle == ap_at:
            ap_ready, ap_at = ap_ready + 1, None
        if ends == Op.SCORE:
            scored += 1
        if ends == Op.OUT:
            drained, aggregated = cycle + drain_guard(cfg, head.k), aggregated - 1
        if scored and ap_at is None and aggregated < cfg.aps and ends != Op.OUT:
            scored, ap_at, aggregated = scored - 1, cycle + rng.randrange(1, 3 * cfg.d), aggregated + 1
        left = max(0, left - 1)
        if may and ready:
            under_way = waiting.pop(0)
            left = length = rng.randrange(1, 6)
            if row.op is Op.OUT:
                ap_ready, drained = ap_ready - 1, float("inf")
        await ctx.tick()
        cycle += 1
    ctx.set(dut.rows.ready, 1)
    for _ in range(3):
        assert (ctx.get(dut.rows.valid), ctx.get(dut.ended)) == (0, 1), note
        await ctx.tick()


@pytest.mark.parametrize("name", CONFIGS)
def test_rows(name):
    cfg, rng = CTAConfig(**CONFIGS[name]), np.random.default_rng(4)
    check(cfg, 4, [random_head(cfg, rng, bool(i % 2)) for i in range(6)])


MUTANTS = {
    "drain too short": ("guard, longest)", "guard - 1, longest)"),
    "one answer of PAG for all": ("- (take & (op == Op.OUT))", "- 0"),
    "outputs before those under way": ("draining.eq(1)", "draining.eq(0)"),
    "no wait for C1": ("Wait.C1: self.c1_done", "Wait.C1: 1"),
    "outputs over those of the job before": ("holds & free)", "holds)"),
    "held by everything": ("running & holds & ~free & self.rows.ready", "running & ~free & self.rows.ready"),
    "ends one row early": ("Mux(more, entry.again, entry.then)", "entry.then"),
}


def mutated(block):
    cfg = CTAConfig(**CONFIGS["plain"])
    heads = [Head(12, 12, k0=12, k1=3, k=5)] * 4
    check(cfg, 1, heads, block)


test_mutants = each_found(Schedule, MUTANTS, mutated)
