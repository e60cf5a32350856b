"""The accelerator in the Amaranth simulator: one small head, from its streams to its streams.

Verilator runs the emitted Verilog in ``tests/rtl``; this is the same source without the emitter.
"""

import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from gen.cta import host
from gen.cta.array import Array
from gen.cta.attention import Attention
from gen.cta.clustering import Clustering
from gen.cta.columns import Columns
from gen.cta.dispatch import Dispatch
from gen.cta.lanes import Lanes
from gen.cta.program import Program
from gen.cta.top import CTA
from model.cta import head, layout, stimulus
from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.job import Mode
from sw.sim.cta import Session
from sw.sim.engine import Run
from tests.gen.mutants import edited

CFG = CTAConfig(b=2, d=8, l=1, n=5, tokens=10, k0=4, k1=5, k2=3, pag=2)


class Host:
    """Sources with queues and sinks, each of which pauses at random."""

    def __init__(self, ctx, dut, rng, stall):
        self.ctx, self.rng, self.stall = ctx, rng, stall
        self.inputs = {name: getattr(dut, name) for name in ("load", "data", "job")}
        self.outputs = {name: getattr(dut, name) for name in ("out", "status")}
        self.queue = {name: [] for name in self.inputs}
        self.received = {name: [] for name in self.outputs}
        self.cycles = {name: [] for name in (*self.inputs, *self.outputs)}
        self.offered, self.cycle = set(), 0

    async def step(self):
        ctx = self.ctx
        for name, port in self.inputs.items():
            if self.queue[name] and self.rng.random() >= self.stall:
                self.offered.add(name)
            ctx.set(port.valid, name in self.offered)
            if self.offered & {name}:
                ctx.set(port.payload, port.payload.shape().from_bits(self.queue[name][0])
                        if name != "data" else self.queue[name][0])
        for name, port in self.outputs.items():
            ready = self.rng.random() >= self.stall
            ctx.set(port.ready, ready)
            if ready and ctx.get(port.valid):
                self.received[name].append(ctx.get(port.payload).as_bits())
                self.cycles[name].append(self.cycle)
        for name in [name for name in self.offered if ctx.get(self.inputs[name].ready)]:
            self.queue[name].pop(0)
            self.cycles[name].append(self.cycle)
            self.offered.remove(name)
        await ctx.tick()
        self.cycle += 1

    async def until(self, condition, limit=3000):
        for _ in range(limit):
            if condition():
                return
            await self.step()
        raise AssertionError(f"nothing more happens, cycle {self.cycle}")


def check(seed, jobs, stall=0.0, block=CTA):
    """Jobs one after another; results, cycles, and the cycles at the streams."""
    rng, dut = random.Random(seed), block(CFG)
    assert set(dut.signature.members) == {"load", "data", "job", "out", "status", "activity"}

    async def bench(ctx):
        host = Host(ctx, dut, rng, stall)
        for number, (weights, job) in enumerate(jobs):
            note = f"seed {seed}, job {number}"
            before = len(host.received["out"])
            for load in layout.weight_loads(CFG, weights) + layout.token_loads(job):
                host.queue["load"].append(layout.pack_fields(layout.LOAD_FIELDS, {
                    "target": load.target, "base": load.base, "rows": len(load.rows)}))
                host.queue["data"] += layout.beats(CFG, load)
            await host.until(lambda: not (host.queue["load"] or host.queue["data"]))
            values = layout.job_fields(weights, job, tables=True)
            host.queue["job"].append(layout.pack_fields(layout.JOB_FIELDS, values))
            await host.until(lambda: len(host.received["status"]) > number)
            session = Session(CFG)
            session.jobs.append(values)
            result, = session.results(Run(received={"out": host.received["out"][before:],
                                                    "status": host.received["status"][-1:]}))
            golden = head.run(CFG, weights, job)
            for name in ("o", "ct0", "ct1", "ct2"):
                np.testing.assert_array_equal(getattr(result, name), getattr(golden, name),
                                              err_msg=f"{note}: {name}")
            for name in ("k0", "k1", "k2", "overflow", "zero_rows", "saturations"):
                assert getattr(result, name) == getattr(golden, name), f"{note}: {name}"
            n, m = values["n"], values["m"]
            cycles = head_cycles(CFG, n, m, golden.k0, golden.k1, golden.k2, job.mode,
                                 weights.shared_a, cross=job.xq is not None)
            assert (result.cycles, result.phases) == (cycles.total, cycles.phases), note
            if not stall:
                # The first beat follows the last O by its cluster, its row and itself.
                beats = host.cycles["out"][before:]
                assert beats[0] == host.cycles["job"][-1] + cycles.total + 6, note
                assert host.cycles["status"][-1] == beats[-1] + 1, note

    sim = Simulator(dut)
    sim.add_clock(1e-9)
    sim.add_testbench(bench)
    sim.run()


def jobs(seed, count=2):
    rng = np.random.default_rng(seed)
    kinds = [dict(n=5, m=4), dict(n=3, mode=Mode.EXACT), dict(n=4, saturating=True)]
    return [stimulus.random_job(CFG, rng, **kinds[i % 3]) for i in range(count)]


def test_heads():
    """CTA mode and exact mode, cycle for cycle."""
    check(1, jobs(1))


def test_heads_with_pauses():
    check(2, jobs(2, 3)[2:], stall=0.4)


MUTANTS = {
    "lanes not skewed": ("top", Lanes, "below.cmd_up if below else self.ctl.cmd", "self.ctl.cmd"),
    "results go up": ("top", Lanes, "above.o_down if above else self.ctl.o", "self.ctl.o"),
    "C2 for C1": ("top", Clustering, "cag.c_lsh == LSH.KEY", "cag.c_lsh == LSH.RESIDUAL"),
    "CT2 twice": ("top", Clustering, "tables.pair[2:]", "(*tables.pair[4:], *tables.pair[4:])"),
    "scores one late": ("top", Dispatch, "delay(m, fate, SCORE_STAGES, reset=True)",
                        "delay(m, fate, SCORE_STAGES + 1, reset=True)"),
    "no shortcut": ("array", Columns, "array.shortcut[j].eq(row.linear[j])",
                    "array.shortcut[j].eq(0)"),
    "no bias": ("top", Array, "partial.ctl.bias.eq(parameters.bias)", "partial.ctl.bias.eq(0)"),
    "k without level 2": ("top", Clustering, "clusters.k.eq(clusters.k1 + clusters.k2)",
                          "clusters.k.eq(clusters.k1)"),
    "drain forgotten": ("top", Program, "schedule.out_issued.eq((slot.op == Op.OUT) & slot.last)",
                        "schedule.out_issued.eq(0)"),
    "one query a batch": ("top", Attention, "pag.cols.eq(batches.cols)", "pag.cols.eq(1)"),
    "queries at the keys": ("top", host.Host, "control.attention_begins.eq(self.op == cfg.program.phases[1])",
                            "control.attention_begins.eq(self.op == cfg.program.phases[0])"),
    "events swapped": ("", CTA, "Saturation.RESIDUAL: lanes.sat_residual",
                       "Saturation.RESIDUAL: clustering.sat_centroid"),
}
"""Where the assembly is used, the assembly, what stands in its ``elaborate``, what is put there."""


def killed(name, monkeypatch):
    where, block, old, new = MUTANTS[name]
    mutant = edited(block, old, new)
    if where:
        monkeypatch.setattr(f"gen.cta.{where}.{block.__name__}", mutant)
    work = [*jobs(1, 1), *jobs(2, 3)[2:]]
    with pytest.raises(AssertionError, match="seed|more happens"):
        check(1, work, block=CTA if where else mutant)


def test_mutant(monkeypatch):
    killed("lanes not skewed", monkeypatch)


@pytest.mark.nightly
@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name, monkeypatch):
    """Wires of the top and of each assembly, one at a time."""
    killed(name, monkeypatch)
