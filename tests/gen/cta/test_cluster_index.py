"""CIM: cluster tables, counts and cycles, against model.cta.cluster_index."""

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from gen.cta.cluster_index import ClusterIndex
from gen.cta.cluster_tree import TreeLayer
from model.cta.config import CTAConfig
from verif.cta import cluster_codes
from verif.ports import NativePorts

CONFIGS = {
    "one pass": dict(b=4, d=8, l=3, n=40),
    "paper": dict(b=8, d=8, l=6, n=64),
    "bits": dict(b=2, d=8, l=2, n=33, digit=1),
    "nibbles": dict(b=16, d=8, l=2, n=40, digit=4),
    "two passes": dict(b=4, d=8, l=6, n=40),
    "four passes": dict(b=2, d=8, l=7, n=24),
    "single": dict(b=2, d=8, l=1, n=300),
    "few": dict(b=4, d=8, l=3, n=40, k0=5, k1=16, k2=17),
    "one cluster": dict(b=2, d=8, l=2, n=9, k0=1, k1=1, k2=1),
    "one or many": dict(b=2, d=8, l=3, n=30, k0=1, k1=30, k2=2),
}
SEED = 2


def simulate(dut, bench):
    """Runs ``bench(ports, reset)`` on ``dut``."""
    reset = Signal()

    async def body(ctx):
        async def pulse():
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
        await bench(NativePorts(ctx, dut), pulse)

    sim = Simulator(ResetInserter(reset)(dut))
    sim.add_clock(1e-9)
    sim.add_testbench(body)
    sim.run()


def check(cfg, work, idle=0.0, dut=None):
    """The indices, counts and cycles of ``work``."""
    rng = np.random.default_rng(SEED)
    cycles = cluster_codes.stream(cfg, work, rng, idle)

    async def bench(ports, reset):
        seen = await cluster_codes.play(ports, cfg, work, cycles, rng)
        cluster_codes.check(seen, cluster_codes.expected(cfg, work, cycles), f"seed {SEED}")

    simulate(dut or ClusterIndex(cfg), bench)


def clusterings(cfg, number=7):
    return cluster_codes.clusterings(cfg, np.random.default_rng(SEED), number)


@pytest.mark.parametrize("idle", [0.0, 0.4])
@pytest.mark.parametrize("name", CONFIGS)
def test_tables(name, idle):
    """Every index, k and overflow in the declared cycle, with and without idle cycles."""
    cfg = CTAConfig(**CONFIGS[name])
    check(cfg, clusterings(cfg), idle)


@pytest.mark.parametrize("shape", [dict(b=4, l=3), dict(b=4, l=5), dict(b=2, l=5)], ids=str)
def test_single_tokens_back_to_back(shape):
    """Clusterings of one token in consecutive cycles, through the hash buffers too."""
    cfg = CTAConfig(d=8, n=8, **shape)
    rng = np.random.default_rng(SEED)
    check(cfg, [(int(rng.integers(3)), cluster_codes.codes_of(cfg, rng, "random", 1))
                for _ in range(20)])


@pytest.mark.parametrize("tokens", [1, 9, 13, 25])
def test_reset_in_mid_clustering(tokens):
    """A clustering that a reset cuts off, in either pass, leaves no trace in the next one."""
    cfg = CTAConfig(b=4, d=8, l=6, n=16)
    rng = np.random.default_rng(SEED)
    work = [(1, cluster_codes.codes_of(cfg, rng, "near", 16)) for _ in range(2)]
    cut = cluster_codes.stream(cfg, work[:1], rng)[:tokens]
    cycles = cluster_codes.stream(cfg, work[1:], rng)

    async def bench(ports, reset):
        await cluster_codes.play(ports, cfg, work[:1], cut, rng, flush=False)
        ports.set("valid", 0)
        await reset()
        seen = await cluster_codes.play(ports, cfg, work[1:], cycles, rng)
        cluster_codes.check(seen, cluster_codes.expected(cfg, work[1:], cycles), f"seed {SEED}")

    simulate(ClusterIndex(cfg), bench)


def test_mutant_without_bypass(monkeypatch):
    """Without the bypass, a thread behind another one at the same node goes astray."""
    monkeypatch.setattr(TreeLayer, "same_node", lambda self, write, node: 0)
    cfg = CTAConfig(**CONFIGS["one pass"])
    with pytest.raises(AssertionError, match=f"seed {SEED}"):
        check(cfg, clusterings(cfg))


def test_mutant_capacity():
    """An engine built for other capacities is found out."""
    cfg = CTAConfig(**CONFIGS["few"])
    with pytest.raises(AssertionError, match=f"seed {SEED}"):
        check(cfg, clusterings(cfg), dut=ClusterIndex(CTAConfig(**CONFIGS["one pass"])))
