"""Claims: what stands from when to when, in jobs of all kinds; tests/rtl/test_layer.py has loads run into
them."""

import random

import pytest

from gen.cta.claims import Claims
from model.cta.config import CTAConfig
from model.cta.schedule import Op
from model.cta.timing import issue_delay
from tests.gen.mutants import each_found
from tests.gen.native import simulate

CONFIGS = {"Q last": CTAConfig(b=4, d=8, l=2, n=12, sets=3),
           "V last": CTAConfig(b=4, d=8, dw=16, l=2, n=12, sets=3)}


def check(seed, block=Claims, name="Q last"):
    cfg = CONFIGS[name]
    climb = cfg.d + issue_delay(cfg)
    dut, rng = block(cfg), random.Random(seed)

    async def bench(ctx):
        for job in range(12):
            exact, reuse, chosen = rng.getrandbits(1), rng.getrandbits(1), rng.randrange(3)
            linear = exact and rng.getrandbits(1)
            note = f"seed {seed}, job {job}, exact {exact}, linear {linear}, reuse {reuse}"
            # Cycles in which something happens, in the order of a program.
            gaps = [rng.randrange(1, 9) for _ in range(5)]
            done, key, score, query, end = (sum(gaps[:at + 1]) for at in range(5))
            last = query + 3
            end = last + 1 if linear else end + 3 + climb + 4      # of a linear job it is the last of all
            over = end + 3 + climb
            ctx.set(dut.job, {"mode": exact, "reuse": reuse, "set": chosen, "linear": linear})
            ctx.set(dut.start, 1)
            ctx.set(dut.ended, 1)              # as that of the job before
            await ctx.tick()
            ctx.set(dut.start, 0)
            fresh = not exact and not reuse
            for cycle in range(1, over):
                ctx.set(dut.centroids_done, cycle >= done or not fresh)
                ctx.set(dut.op, Op.K if cycle == key else Op.SCORE if cycle == score else 0)
                ctx.set(dut.linears_done, cycle == last)
                ctx.set(dut.ended, cycle >= end)
                want = {"tokens": cycle <= (last + climb if linear else end) if exact else
                        fresh and cycle <= done,
                        "a": fresh and cycle <= key,
                        "kv": not linear and cycle <= (score if name == "Q last" else last + climb),
                        "q": cycle <= last + climb, "set": chosen}
                got = {name: ctx.get(getattr(dut.claim, name)) for name in want}
                assert got == want, f"{note}: cycle {cycle}"
                await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(3))
def test_claims(seed, name):
    check(seed, name=name)


MUTANTS = {
    "tokens of an exact job given up": ("self.centroids_done & ~exact", "self.centroids_done"),
    "tokens never given up": ("self.centroids_done & ~exact | self.ended", "self.ended"),
    "rows given up with the last slot": ("self.ended & ~job.linear", "self.ended"),
    "rows never given up": ("claim.tokens & ~job.linear", "claim.tokens"),
    "K claimed by linear jobs": ("claim.kv.eq(~job.linear)", "claim.kv.eq(1)"),
    "A claimed for clusters that are there": ("~exact & ~job.reuse", "~exact"),
    "Q given up with its last slot": ("left.eq(climb)", "left.eq(1)"),
    "K and V given up with the linears": ("self.op == Op.SCORE", "self.op == Op.K"),
    "V given up with the scores": ("claim.kv & behind_all", "0"),
    "set 0": ("claim.set.eq(job.set)", "claim.set.eq(0)"),
}


def mutated(block):
    for name in CONFIGS:
        for seed in range(3):
            check(seed, block, name)


test_mutants = each_found(Claims, MUTANTS, mutated)
