"""Batch control: PAG starts when a batch of scores is in and the AP of the last one is out."""

import random

import pytest

from gen.cta.batch_control import BatchControl
from model.cta.config import CTAConfig
from tests.gen.mutants import each_found
from tests.gen.native import simulate


def check(seed, block=BatchControl, heads=12, aps=1):
    """Scores come as fast as O lets them, or slowly; PAG and O take their time at random."""
    cfg, rng = CTAConfig(b=4, d=8, l=2, n=30, aps=aps), random.Random(seed)
    dut = block(cfg)

    async def bench(ctx):
        for head in range(heads):
            k0 = rng.choice((1, cfg.b, cfg.b + 1, rng.randint(1, cfg.n)))
            await run(ctx, k0, f"seed {seed}, head {head}, k0 = {k0}")

    async def run(ctx, k0, note):
        ctx.set(dut.k0, k0)
        for name in ("cs_done", "pag_done", "ap_last"):
            ctx.set(getattr(dut, name), 0)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        batches = -(-k0 // cfg.b)
        scored = started = taken = 0     # batches of which the last score, PAG, the last AP is over
        done_at, aps_at = None, []       # batches whose O takes AP: the cycles of their last
        cs_at, cycle = 1 + rng.randrange(5), 0
        starts_at, busy = None, False
        slow = rng.choice((1, 3, 20))
        while taken < batches:
            assert ctx.get(dut.pag_busy) == busy, f"{note}: busy in cycle {cycle}"
            assert ctx.get(dut.pag_start) == (cycle == starts_at), f"{note}: start, cycle {cycle}"
            if cycle == starts_at:
                cols = min(cfg.b, k0 - started * cfg.b)
                assert ctx.get(dut.cols) == cols, f"{note}: batch {started}"
                started, busy, done_at = started + 1, True, cycle + rng.randint(1, 9)
            ctx.set(dut.cs_done, cycle == cs_at)
            ctx.set(dut.pag_done, cycle == done_at)
            ap_at = aps_at.pop(0) if aps_at and aps_at[0] == cycle else None
            ctx.set(dut.ap_last, cycle == ap_at)
            if cycle == cs_at:
                scored += 1
            if cycle == done_at:
                busy = False
                aps_at.append(max([cycle, *aps_at]) + rng.randint(1, 3 * slow))
            if cycle == ap_at:
                taken += 1
            # All conditions, whichever came last in this cycle.
            free = taken == started if aps == 1 else started - taken < 2 and not busy
            if cycle in (cs_at, ap_at, done_at) and scored > started and free:
                starts_at = cycle + 1
            # CS has two memories: scores of a batch wait for the start of the last but one.
            if scored < batches and (cs_at is None or cs_at <= cycle) and scored - started < 2:
                cs_at = cycle + rng.randint(1, slow)
            await ctx.tick()
            cycle += 1

    simulate(dut, bench)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("aps", [1, 2])
def test_batches(seed, aps):
    check(seed, aps=aps)


MUTANTS = {
    "AP overwritten": ("(waiting != 0) & may", "waiting != 0"),
    "two batches in one bank": ("(taken != 2) &", "(taken != 3) &"),
    "two walks at once": ("& ~self.pag_busy", "& 1"),
    "one batch waiting at most": ("waiting + self.cs_done - self.pag_start", "self.cs_done"),
    "always all columns": ("Mux(left < cfg.b, left, cfg.b)", "cfg.b"),
    "base of the head before": ("taken.eq(0), base.eq(0)", "taken.eq(0)"),
    "free one late": ("max(0, ap_clear_delay(cfg) - 1)", "1"),
}


test_mutants = each_found(BatchControl, MUTANTS, lambda block: (check(1, block), check(1, block, aps=2)))
