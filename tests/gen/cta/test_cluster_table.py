"""Cluster tables: all readers at random beside the writer, and the copy of the job before."""

import random

import pytest

from gen.cta.cluster_table import ClusterTables
from model.cta.config import CTAConfig
from tests.gen.mutants import each_found
from tests.gen.native import simulate

CONFIGS = {"even": dict(b=4, d=8, l=2, n=16), "odd": dict(b=2, d=8, l=2, n=13),
           "smallest": dict(b=2, d=8, l=1, n=2)}


def check(cfg, seed, block=ClusterTables, cycles=1200):
    """A bank is not read by the port by which it is written; CAG reads what it has."""
    dut, rng = block(cfg), random.Random(seed)
    copies = [[[None] * cfg.n for _ in range(3)] for _ in range(2)]

    async def bench(ctx):
        copy = 0
        for cycle in range(cycles):
            assert ctx.get(dut.copy) == copy, f"seed {seed}"
            tables = copies[copy]
            turn = rng.random() < 0.02
            write, lsh, token = rng.random() < 0.6, rng.randrange(3), rng.randrange(cfg.n)
            value = rng.randrange(cfg.n)
            for name, driven in (("w_en", write), ("w_lsh", lsh), ("w_addr", token),
                                 ("w_data", value), ("turn", turn)):
                ctx.set(getattr(dut, name), driven)

            # Of the table that is written nothing can be said.
            def seen(of, c, t):
                written = write and c == lsh and of == copy
                return None if written or t >= cfg.n else copies[of][c][t]

            pair = rng.random() < 0.4
            residual = not pair and rng.random() < 0.5
            p, t = rng.randrange(-(-cfg.n // 2)), rng.randrange(cfg.n)
            for name, driven in (("pair_en", pair), ("pair_addr", p), ("residual_en", residual),
                                 ("residual_addr", t)):
                ctx.set(getattr(dut, name), driven)
            shown = []
            if pair:
                shown = [(dut.pair[2 * c - 2 + odd], seen(copy, c, 2 * p + odd))
                         for c in (1, 2) for odd in range(2)]
            elif residual:
                shown = [(dut.residual, seen(copy, 1, t))]

            # The output: CT0 of either copy, or all three where nobody else reads.
            of, every, identity = (rng.getrandbits(1) for _ in range(3))
            every = every and not (of == copy and residual)
            t = rng.randrange(cfg.n)
            for name, driven in (("copy", of), ("all", every), ("identity", identity), ("addr", t)):
                ctx.set(getattr(dut.output, name), driven)
            free = not pair or of != copy
            assert ctx.get(dut.output.ready) == free, f"seed {seed}: ready in cycle {cycle}"
            asked = rng.random() < 0.7 and (free or not every)
            ctx.set(dut.output.en, asked)
            if asked:
                shown += [(dut.output.ct[c], (t if c < 2 else 0) if identity else seen(of, c, t))
                          for c in range(3 if every else 1)]
            c, t = rng.randrange(3), rng.randrange(cfg.n)
            ask = rng.random() < 0.7 and not (write and t == token)
            for name, driven in (("cag_en", ask), ("cag_lsh", c), ("cag_addr", t)):
                ctx.set(getattr(dut, name), driven)
            if ask and not turn:
                shown += [(dut.cag, tables[c][t]), (dut.cag_ct1, tables[1][t])]
            if write:
                tables[lsh][token] = value
            await ctx.tick()
            for port, want in shown:
                mine = port is not None and (not turn or any(port is ct for ct in dut.output.ct))
                assert want is None or not mine or ctx.get(port) == want, \
                    f"seed {seed}: {port.name} after cycle {cycle}"
            copy ^= turn

    simulate(dut, bench)


@pytest.mark.parametrize("name", CONFIGS)
def test_tables(name):
    check(CTAConfig(**CONFIGS[name]), 61)


MUTANTS = {
    "even and odd swapped": ("Mux(cag_odd, odd, even)", "Mux(cag_odd, even, odd)"),
    "CAG always from CT0": ("m.Switch(lsh)", "m.Switch(lsh & 0)"),
    "CT2 the identity too": ("at if c < 2 else 0", "at"),
    "output of the running job": ("Mux(of, *found[::-1])", "Mux(copy, *found[::-1])"),
    "never turned": ("m.If(self.turn)", "m.If(0)"),
    "no wait for PAG": ("~self.pair_en | (output.copy != copy)", "1"),
    "waits for PAG of the other copy": ("~self.pair_en | (output.copy != copy)", "~self.pair_en"),
    "residuals of CT2": ("Mux(residual_odd, ct1[1], ct1[0])", "Mux(residual_odd, ct2[1], ct2[0])"),
}


test_mutants = each_found(ClusterTables, MUTANTS, lambda block: check(CTAConfig(**CONFIGS["odd"]), 61, block))
