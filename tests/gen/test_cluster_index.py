"""CIM: cluster tables, counts and cycles, against model.cta.cluster_index."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from gen.cta.cluster_index import ClusterIndex
from gen.cta.cluster_tree import TreeLayer
from model.cta.cluster_index import cluster_table
from model.cta.config import CTAConfig
from model.cta.timing import cim_latency

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


def codes_of(cfg, rng, kind, count):
    """Hash codes (count, l) of a shape that exercises memories, bypass and capacities."""
    low, high = cfg.fmt.hash.min, cfg.fmt.hash.max + 1
    pool = rng.integers(low, high, (max(1, count), cfg.l))
    if kind == "distinct":
        pool[:, -1] = (np.arange(len(pool)) + low) % (high - low) + low
        return pool[:count]
    if kind == "near":    # long common prefixes: the same nodes again and again
        return rng.integers(-1, 2, (count, cfg.l))
    pick = {"equal": np.zeros(count, dtype=int), "alternating": np.arange(count) % 2,
            "thrice": np.arange(count) % 3, "random": rng.integers(0, max(1, count // 3), count),
            "runs": np.sort(rng.integers(0, max(1, count // 3), count))}[kind]
    return pool[pick % len(pool)]


KINDS = ("equal", "distinct", "near", "alternating", "thrice", "random", "runs")


def clusterings(cfg, rng, number):
    """Clusterings of all kinds and sizes, as (lsh, codes)."""
    for at in range(number):
        count = int(rng.choice([1, 2, cfg.n, rng.integers(1, cfg.n + 1)]))
        yield int(rng.integers(3)), codes_of(cfg, rng, KINDS[at % len(KINDS)], count)


def stream(cfg, work, rng, idle):
    """Cycles of column 0 as (clustering, token, pass), or None for an idle one."""
    cycles = []
    for at, (_, codes) in enumerate(work):
        for hpass in range(cfg.passes):
            for token in range(len(codes)):
                cycles += [None] * int(rng.geometric(1 - idle) - 1 if idle else 0)
                cycles.append((at, token, hpass))
    return cycles


def run(cfg, work, cycles, rng, reset_at=None, dut=None):
    """What the CIM gives, as a list of (cycle, ct, first, last, lsh, k, overflow)."""
    dut = dut or ClusterIndex(cfg)
    seen = []
    width = cfg.fmt.hash.width

    async def bench(ctx):
        for now in range(len(cycles) + cim_latency(cfg) + 2):
            entry = cycles[now] if now < len(cycles) else None
            ctx.set(dut.valid, entry is not None)
            if entry:
                at, token, hpass = entry
                ctx.set(dut.first, token == 0)
                ctx.set(dut.last, token == len(work[at][1]) - 1)
                ctx.set(dut.lsh, work[at][0])
                ctx.set(dut.hpass, hpass)
            else:
                for port in (dut.first, dut.last, dut.lsh, dut.hpass):
                    ctx.set(port, int(rng.integers(8)) & ((1 << len(port)) - 1))
            for c in range(cfg.hash_columns):
                back = cycles[now - c] if 0 <= now - c < len(cycles) else None
                index = back[2] * cfg.b + c if back else cfg.l
                value = (work[back[0]][1][back[1]][index] if index < cfg.l
                         else rng.integers(1 << width))
                ctx.set(dut.hash[c], int(value))
            if ctx.get(dut.ct_valid):
                seen.append((now, *(ctx.get(port) for port in (
                    dut.ct, dut.ct_first, dut.ct_last, dut.ct_lsh, dut.k, dut.overflow))))
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-9)
    sim.add_testbench(bench)
    sim.run()
    return seen


def expected(cfg, work, cycles):
    """The same from the model; k and overflow only where they count, with the last token."""
    tables = [cluster_table(cfg, codes, (cfg.k0, cfg.k1, cfg.k2)[lsh]) for lsh, codes in work]
    want = []
    for now, entry in enumerate(cycles):
        if entry and entry[2] == cfg.passes - 1:
            at, token, _ = entry
            ct, k, overflow = tables[at]
            last = token == len(ct) - 1
            want.append((now + cim_latency(cfg), int(ct[token]), token == 0, last, work[at][0],
                         *((k, overflow) if last else (None, None))))
    return want


def check(cfg, seed, number=8, idle=0.0, dut=None):
    rng = np.random.default_rng(seed)
    work = list(clusterings(cfg, rng, number))
    cycles = stream(cfg, work, rng, idle)
    seen = [row if row[3] else (*row[:5], None, None)
            for row in run(cfg, work, cycles, rng, dut=dut)]
    assert seen == expected(cfg, work, cycles), f"seed {seed}"


@pytest.mark.parametrize("idle", [0.0, 0.4])
@pytest.mark.parametrize("name", CONFIGS)
def test_tables(name, idle):
    """Every token's index, k and overflow, in the declared cycle, with and without idle cycles."""
    check(CTAConfig(**CONFIGS[name]), seed=sum(map(ord, name)), idle=idle)


def test_single_tokens_back_to_back():
    """Clusterings of one token in consecutive cycles, through the hash buffers too."""
    for shape in (dict(b=4, d=8, l=3, n=8), dict(b=2, d=8, l=5, n=8)):
        cfg = CTAConfig(**shape)
        rng = np.random.default_rng(7)
        work = [(int(rng.integers(3)), codes_of(cfg, rng, "random", 1)) for _ in range(20)]
        cycles = stream(cfg, work, rng, 0)
        assert run(cfg, work, cycles, rng) == expected(cfg, work, cycles)


def test_reset_in_mid_clustering():
    """A clustering that a reset cuts off leaves no trace in the next one."""
    from amaranth.hdl import ResetInserter, Signal
    cfg = CTAConfig(b=4, d=8, l=6, n=16)
    rng = np.random.default_rng(11)
    cut, work = codes_of(cfg, rng, "near", 12), [(1, codes_of(cfg, rng, "near", 16))]
    dut, reset, seen = ClusterIndex(cfg), Signal(), []

    async def feed(ctx, codes, hpass):
        for now in range(len(codes) + cfg.b):
            ctx.set(dut.valid, now < len(codes))
            ctx.set(dut.first, now == 0)
            ctx.set(dut.last, now == len(codes) - 1)
            ctx.set(dut.lsh, 1)
            ctx.set(dut.hpass, hpass)
            for c in range(cfg.hash_columns):
                if 0 <= now - c < len(codes) and hpass * cfg.b + c < cfg.l:
                    ctx.set(dut.hash[c], int(codes[now - c][hpass * cfg.b + c]))
            if ctx.get(dut.ct_valid):
                seen.append((ctx.get(dut.ct), ctx.get(dut.k)))
            await ctx.tick()

    async def bench(ctx):
        await feed(ctx, cut, 0)
        await feed(ctx, cut[:7], 1)
        ctx.set(reset, 1)
        ctx.set(dut.valid, 0)
        await ctx.tick()
        ctx.set(reset, 0)
        seen.clear()
        for hpass in range(cfg.passes):
            await feed(ctx, work[0][1], hpass)
        await feed(ctx, work[0][1][:0], 0)
        for _ in range(cim_latency(cfg)):
            if ctx.get(dut.ct_valid):
                seen.append((ctx.get(dut.ct), ctx.get(dut.k)))
            await ctx.tick()

    sim = Simulator(ResetInserter(reset)(dut))
    sim.add_clock(1e-9)
    sim.add_testbench(bench)
    sim.run()
    ct, k, _ = cluster_table(cfg, work[0][1], cfg.k1)
    assert [index for index, _ in seen] == ct.tolist()
    assert seen[-1][1] == k


def test_mutant_without_bypass(monkeypatch):
    """Without the bypass, a thread behind another one at the same node goes astray."""
    monkeypatch.setattr(TreeLayer, "same_node", lambda self, write, node: 0)
    with pytest.raises(AssertionError):
        check(CTAConfig(**CONFIGS["one pass"]), seed=3)


def test_mutant_never_full(monkeypatch):
    """An engine built for other capacities fails the check of these."""
    cfg = CTAConfig(**CONFIGS["few"])
    with pytest.raises(AssertionError):
        check(cfg, seed=3, dut=ClusterIndex(CTAConfig(**CONFIGS["one pass"])))
