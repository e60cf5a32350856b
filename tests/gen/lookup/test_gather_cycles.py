"""The cycles of hash and gather together, back-pressure included, against their clocks."""

import random

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.lookup.gather import Gather
from gen.lookup.hash import Hash
from model.lookup import gather as gathering
from model.lookup import hash as hashing
from model.lookup.config import LookupConfig
from model.lookup.gather import orders
from model.lookup.gather_cycles import GatherClock, HashClock
from model.lookup.job import Order
from model.lookup.timing import hash_latency
from tests.gen.native import simulate
from verif import actors
from verif.actors import Sink, Source
from verif.lookup import gather_program, hash_program
from verif.ports import NativePorts


class Both(wiring.Component):
    """The hash in front of the gather."""

    def __init__(self, cfg):
        self.hash, self.gather = Hash(cfg), Gather(cfg)
        members = {name: member for block in (self.hash, self.gather)
                   for name, member in block.signature.members.items() if name != "rows"}
        super().__init__(members | {"row_valid": Out(1), "row_ready": Out(1)})

    def elaborate(self, platform):
        m = Module()
        for name in ("hash", "gather"):
            block = m.submodules[name] = getattr(self, name)
            for port, member in block.signature.members.items():
                if port == "rows":
                    continue
                if member.is_signature:
                    mine = getattr(self, port)
                    pair = (wiring.flipped(mine), getattr(block, port))
                    wiring.connect(m, *(pair if member.flow == In else reversed(pair)))
                elif member.flow == In:
                    m.d.comb += getattr(block, port).eq(getattr(self, port))
                else:
                    m.d.comb += getattr(self, port).eq(getattr(block, port))
        wiring.connect(m, self.hash.rows, self.gather.rows)
        m.d.comb += [self.row_valid.eq(self.hash.rows.valid),
                     self.row_ready.eq(self.hash.rows.ready)]
        return m


def check(cfg, order, tokens, latency, gap, seed):
    """Play ``tokens`` whose beats of z are offered ``gap`` cycles apart, now and then more."""
    rng, more = np.random.default_rng(seed), random.Random(seed)
    z = hash_program.random_z(cfg, rng, tokens)
    tables, out_bias = gather_program.random_layer(cfg, rng)
    words = hash_program.z_words(cfg, z, rng)
    offered, at = [], 0
    for _ in words:
        offered.append(at)
        at += gap if more.random() < 0.9 else more.randint(1, 30)
    dut, rows = Both(cfg), []
    scores, _ = hashing.scores(cfg, z, np.full(cfg.h, 12))
    want, _ = gathering.gather(cfg, hashing.codes(cfg, z), scores, tables, out_bias, 9,
                               np.zeros((tokens, cfg.d)) if cfg.residual else None)

    async def bench(ctx):
        ports = NativePorts(ctx, dut)
        for k in range(cfg.h):
            for name, value in (("s_en", 1), ("s_addr", k), ("s_data", 12)):
                ports.set(name, value)
            await ports.tick()
        ports.set("s_en", 0)
        await gather_program.load(ports, cfg, tables, out_bias)
        source, y = Source(ports, "z", words, earliest=offered), Sink(ports, "y")
        memory = gather_program.table_memory(ports, cfg, tables, lambda: latency)
        if cfg.tile:
            ports.set("order", int(order))
        for name, value in (("start", 1), ("tokens", tokens), ("shift_y", 9)):
            ports.set(name, value)
        await ports.tick()
        ports.set("start", 0)

        def watch(cycle):
            if ports.get("row_valid") and ports.get("row_ready"):
                rows.append(cycle)

        ends = (source, y, memory.request, memory.response, memory)
        await actors.run(ports, ends, lambda: len(y.cycles) == want.size // 8, 50_000,
                   watch)
        gather = GatherClock(cfg, order, tokens, latency, start=-1)
        clock = HashClock(cfg, gather)
        for cycle in offered:
            clock.beat(cycle)
        assert clock.z == source.cycles, f"seed {seed}: z"
        assert gather.rows == rows, f"seed {seed}: rows"
        assert gather.requests == memory.request.cycles, f"seed {seed}: requests"
        assert gather.responses == memory.response.cycles, f"seed {seed}: responses"
        assert gather.y == y.cycles, f"seed {seed}: y"

    simulate(dut, bench)


CONFIGS = {
    "gather is slower": (dict(d=16, h=5, tau=3, lanes=2, batch=1, outstanding=4), 1),
    "hash is slower": (dict(d=16, h=5, tau=8, lanes=16, batch=3, block=4, multipliers=4), 3),
    "lanes straddle": (dict(d=16, h=7, tau=5, lanes=8, batch=2, block=8, multipliers=32), 1),
    "neighbours": (dict(d=16, h=3, tau=4, lanes=16, batch=1, neighbours=True), 1),
    "neighbours, narrow": (dict(d=16, h=2, tau=5, lanes=16, batch=2, neighbours=True, block=4,
                                multipliers=4), 1),
    "a byte a beat": (dict(d=8, h=2, tau=1, lanes=1, batch=2, outstanding=1), 2),
    "no tile": (dict(d=24, h=3, tau=4, lanes=8, tile=False, block=4, multipliers=4), 2),
    "y is slower": (dict(d=64, h=1, tau=1, lanes=64, batch=2, block=4), 1),
}


@pytest.mark.parametrize("order", list(Order), ids=lambda order: order.name)
@pytest.mark.parametrize("name", CONFIGS)
def test_every_cycle_is_foreseen(name, order):
    parameters, gap = CONFIGS[name]
    cfg = LookupConfig(**parameters)
    if order not in orders(cfg):
        return     # no such job
    check(cfg, order, 4 * cfg.batch + 3, 17, gap, 31)


def test_first_row():
    """The clock and the latency that the other models use agree."""
    cfg = LookupConfig(d=8, h=2, tau=3, neighbours=True, block=8, multipliers=64)
    gather = GatherClock(cfg, Order.TOKEN_MAJOR, 1, 1, start=-1)
    clock = HashClock(cfg, gather)
    taken = clock.beat(5)
    assert gather.rows[0] == taken + hash_latency(cfg)
