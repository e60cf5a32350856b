"""Cluster tables: all readers at random beside the writer, and the identity of exact mode."""

import random

import pytest

from gen.cta.cluster_table import ClusterTables
from model.cta.config import CTAConfig
from tests.gen.mutants import each_found
from tests.gen.native import simulate

CONFIGS = {"even": dict(b=4, d=8, l=2, n=16), "odd": dict(b=2, d=8, l=2, n=13),
           "smallest": dict(b=2, d=8, l=1, n=2)}


def check(cfg, seed, block=ClusterTables, cycles=900):
    """A table is not read by the shared port while it is written; CAG reads what it has."""
    dut, rng = block(cfg), random.Random(seed)
    tables = [[None] * cfg.n for _ in range(3)]

    async def bench(ctx):
        identity = 0
        for cycle in range(cycles):
            if rng.random() < 0.02:
                identity ^= 1
                ctx.set(dut.identity, identity)
                await ctx.tick()          # constant within a job
            write, lsh, token = rng.random() < 0.6, rng.randrange(3), rng.randrange(cfg.n)
            value = rng.randrange(cfg.n)
            for name, driven in (("w_en", write), ("w_lsh", lsh), ("w_addr", token),
                                 ("w_data", value)):
                ctx.set(getattr(dut, name), driven)

            # Of all three tables; of the one that is written nothing can be said.
            def seen(c, t):
                if identity:
                    return t if c < 2 else 0
                return None if (write and c == lsh) or t >= cfg.n else tables[c][t]

            pair = rng.random() < 0.5
            one = not pair and rng.random() < 0.8
            t = rng.randrange(-(-cfg.n // 2) if pair else cfg.n)
            ctx.set(dut.pair_en, pair)
            ctx.set(dut.one_en, one)
            ctx.set(dut.pair_addr if pair else dut.one_addr, t)
            shown = []
            if pair:
                shown = [(dut.pair[2 * c + odd], seen(c, 2 * t + odd))
                         for c in range(3) for odd in range(2)]
            elif one:
                shown = [(dut.one[c], seen(c, t)) for c in range(3)]
            c, t = rng.randrange(3), rng.randrange(cfg.n)
            ask = rng.random() < 0.7 and not (write and t == token)
            ctx.set(dut.cag_en, ask)
            ctx.set(dut.cag_lsh, c)
            ctx.set(dut.cag_addr, t)
            if ask:
                shown += [(dut.cag, tables[c][t]), (dut.cag_ct1, tables[1][t])]
            if write:
                tables[lsh][token] = value
            await ctx.tick()
            for port, want in shown:
                assert want is None or ctx.get(port) == want, \
                    f"seed {seed}: {port.name} after cycle {cycle}, identity {identity}"

    simulate(dut, bench)


@pytest.mark.parametrize("name", CONFIGS)
def test_tables(name):
    check(CTAConfig(**CONFIGS[name]), 61)


MUTANTS = {
    "even and odd swapped for one": ("Mux(one_at[0], odd.r_data", "Mux(~one_at[0], odd.r_data"),
    "CAG always from CT0": ("m.Switch(lsh_at)", "m.Switch(lsh_at & 0)"),
    "CT2 the identity too": ("one_at if c < 2 else 0", "one_at"),
    "every table written": ("(self.w_lsh == c) & ", ""),
    "residuals of CT2": ("cag[1]", "cag[2]"),
}


test_mutants = each_found(ClusterTables, MUTANTS, lambda block: check(CTAConfig(**CONFIGS["odd"]), 61, block))
