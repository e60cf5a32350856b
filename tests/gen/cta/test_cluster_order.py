"""Clustering order: jobs for CAG in the order of Table I, each as soon as its table begins."""

import random

import pytest

from gen.cta.cluster_order import ClusterOrder
from model.cta.config import CTAConfig
from tests.gen.mutants import edited
from tests.gen.native import simulate
from tests.model.cta.programs import ORDERS, program

CONFIGS = {"one slice": dict(b=4, d=8, l=2, n=12), "slices": dict(b=2, d=8, dw=24, l=3, n=9)}


def check(cfg, seed, block=ClusterOrder, heads=10, full=(1, 0, 2)):
    dut, rng = block(cfg), random.Random(seed)

    async def bench(ctx):
        for head in range(heads):
            lost = await run(ctx, head % 3 == 2, f"seed {seed}, head {head}")
            if head % 2:
                await again(ctx, lost, f"seed {seed}, after head {head}")

    async def again(ctx, lost, note):
        """The same clusters again: CAG gets nothing, and all that is known of them stays."""
        ctx.set(dut.job.reuse, 1)
        ctx.set(dut.start, 1)
        ctx.set(dut.done, 0)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for _ in range(rng.randrange(20)):
            ctx.set(dut.jobs.ready, rng.getrandbits(1))
            shown = [ctx.get(port) for port in (dut.jobs.valid, dut.c1_done, dut.centroids_done)]
            assert shown[0::2] == [0, 1], note
            assert [ctx.get(count) for count in dut.overflow] == lost, note
            await ctx.tick()

    async def run(ctx, exact, note):
        cross, n, m = rng.getrandbits(1), rng.randint(1, cfg.n), rng.randint(1, cfg.n)
        m = m if cross else n
        word = {"mode": exact, "cross": cross, "n": n, "m": m, "reuse": 0}
        ctx.set(dut.start, 1)
        ctx.set(dut.job, word)
        for name in ("ct_valid", "done"):
            ctx.set(getattr(dut, name), 0)
        ctx.set(dut.jobs.ready, 0)
        await ctx.tick()
        ctx.set(dut.start, 0)
        expected = [(c, part) for c in full for part in range(cfg.slices)] if not exact else []
        # Indices as CIM gives them: one a cycle, a pause before each table and none within.
        indices, lost, at = {}, [0, 0, 0], 1
        for c in () if exact else full:
            at += rng.randrange(20)
            count = m if c == 0 else n
            lost[c] = rng.randint(0, count)
            for token in range(count):
                indices[at] = c, token, token == count - 1
                at += 1
        begun, busy, cycle = set(), 0, 0
        dones = []                                 # (cycle, lsh, slice) of jobs in CAG
        c1_done, centroids_done = False, bool(exact)
        settled = 0
        while settled < 5:
            c, token, last = indices.get(cycle, (rng.randrange(3), rng.randrange(cfg.n), 0))
            valid = cycle in indices
            for name, value in (("ct_valid", valid), ("ct_lsh", c), ("lost", lost[c]),
                                ("ct_first", token == 0 if valid else rng.getrandbits(1)),
                                ("ct_last", last if valid else rng.getrandbits(1))):
                ctx.set(getattr(dut, name), value)
            if valid:
                assert ctx.get(dut.ct_index) == token, f"{note}: token of cycle {cycle}"
            done = dones.pop(0) if dones and dones[0][0] <= cycle else None
            ctx.set(dut.done, done is not None)
            ctx.set(dut.done_lsh, done[1] if done else rng.randrange(3))
            ctx.set(dut.done_slice, done[2] if done else cfg.slices - 1)
            ready = busy == 0 and rng.random() < 0.5
            ctx.set(dut.jobs.ready, ready)

            offered = expected[0] if expected and expected[0][0] in begun else None
            assert ctx.get(dut.jobs.valid) == (offered is not None), f"{note}: cycle {cycle}"
            if offered:
                lsh, part = offered
                job = dut.jobs.payload
                got = [ctx.get(field) for field in (job.lsh, job.slice, job.count, job.residual,
                                                    job.first)]
                want = [lsh, part, m if lsh == 0 else n, lsh == 2, n if lsh == 0 and cross else 0]
                assert got == want, f"{note}: job in cycle {cycle}"
            assert ctx.get(dut.c1_done) == c1_done, f"{note}: C1 in cycle {cycle}"
            assert ctx.get(dut.centroids_done) == centroids_done, f"{note}: cycle {cycle}"

            if offered and ready:
                expected.pop(0)
                busy = rng.randint(0, 12)
                dones.append((cycle + busy + 5, *offered))
            else:
                busy = max(0, busy - 1)
            if valid:
                begun.add(c)
            if done and done[2] == cfg.slices - 1:
                c1_done |= done[1] == 1
                centroids_done |= done[1] == full[-1]
            settled += not (expected or dones or cycle <= max(indices, default=0))
            await ctx.tick()
            cycle += 1
        # Nothing is left of the head before, also where this one has no table.
        want = [0, 0, 0] if exact else lost
        assert [ctx.get(count) for count in dut.overflow] == want, note
        return want

    simulate(dut, bench)


@pytest.mark.parametrize("name", CONFIGS)
def test_jobs(name):
    check(CTAConfig(**CONFIGS[name]), 71)


MUTANTS = {
    "does not wait for its table": ("running & begun.bit_select(lsh, 1)", "running"),
    "queries among the keys": ("Mux(job.cross, job.n, 0)", "0"),
    "done with the first slice": ("self.done & (self.done_slice == cfg.slices - 1)", "self.done"),
    "n tokens for the queries": ("out.count.eq(job.m)", "out.count.eq(job.n)"),
    "no centroids in exact mode": ("self.centroids_done.eq(exact)", "self.centroids_done.eq(0)"),
    "clusters made again": ("self.start & ~job.reuse", "self.start"),
    "overflow of the first table": ("m.Switch(self.ct_lsh)", "m.Switch(self.ct_lsh & 1)"),
    "overflow of the head before": ("*(count.eq(0) for count in self.overflow)]", "]"),
    "numbers run on": ("self.ct_index.eq(0)", "self.ct_index.eq(number)"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name):
    with pytest.raises(AssertionError, match="seed"):
        check(CTAConfig(**CONFIGS["slices"]), 71, edited(ClusterOrder, *MUTANTS[name]))


@pytest.mark.parametrize("order", ORDERS, ids=repr)
@pytest.mark.parametrize("name", CONFIGS)
def test_the_order_is_that_of_the_program(name, order):
    check(CTAConfig(**CONFIGS[name], program=program(order)), 72, full=order)


def test_a_wrong_order_is_found_out():
    with pytest.raises(AssertionError, match="seed"):
        check(CTAConfig(**CONFIGS["one slice"], program=program((0, 1, 2))), 71)
