"""Output: rows of O and cluster tables, in order, whatever the sink does, and at what pace."""

import random

import pytest
from amaranth.hdl import Signal

from gen.cta.output import OutputStream
from model.cta.config import CTAConfig
from model.cta.layout import ELEMENT_WIDTH
from tests.gen.mutants import edited
from tests.gen.native import simulate

CONFIGS = {"plain": dict(b=4, d=16, l=2, n=9), "one group": dict(b=2, d=8, l=1, n=6),
           "slices": dict(b=2, d=32, dw=64, l=3, n=5, lanes=4)}
MASK = (1 << ELEMENT_WIDTH) - 1


def check(cfg, seed, stall=0.0, block=OutputStream, jobs=8, reset_after=None):
    """Some jobs' outputs; a token takes d/lanes cycles, but at least 2, and a row of tables 2, and pauses."""
    dut, rng, reset = block(cfg), random.Random(seed), Signal()

    async def bench(ctx):
        for job in range(jobs):
            n, m, tables = rng.randint(1, cfg.n), rng.randint(1, cfg.n), rng.getrandbits(1)
            if job == 0 and reset_after is not None:
                await run(ctx, cfg.n, cfg.n, 1, "cut off", until=reset_after)
                ctx.set(reset, 1)
                await ctx.tick()
                ctx.set(reset, 0)
                assert (ctx.get(dut.busy), ctx.get(dut.out.valid)) == (0, 0), f"seed {seed}"
            await run(ctx, n, m, tables, f"seed {seed}, job {job}, n={n} m={m} tables={tables}")

    async def run(ctx, n, m, tables, note, until=None):
        ct = [[rng.randrange(cfg.k0), rng.randrange(cfg.n), rng.randrange(cfg.n)]
              for _ in range(cfg.n)]
        clusters, exact, copy = (rng.getrandbits(1) for _ in range(3))
        k0 = rng.randint(1, cfg.k0)
        rows = range(k0) if clusters else [ct[t][0] for t in range(m)]
        low, high = cfg.fmt.output.min, cfg.fmt.output.max
        o = [[rng.choice((low, high, rng.randint(low, high))) for _ in range(cfg.d)]
             for _ in range(cfg.k0)]
        due = [(o[row][g * cfg.lanes:(g + 1) * cfg.lanes], 0) for row in rows
               for g in range(cfg.groups)]
        if tables:
            due += [(ct[t] + [0] * (cfg.lanes - 3), 0) for t in range(max(n, m))]
        due[-1] = due[-1][0], 1
        word = {"n": n, "m": m, "tables": tables, "clusters": clusters, "mode": exact}
        for name, value in (("job", word), ("k0", k0), ("copy", copy), ("start", 1)):
            ctx.set(getattr(dut, name), value)
        ctx.set(dut.out.ready, 0)
        await ctx.tick()
        ctx.set(dut.start, 0)
        # The next job runs by now, and has other clusters.
        ctx.set(dut.job, {"n": rng.randint(1, cfg.n), "clusters": rng.getrandbits(1)})
        ctx.set(dut.k0, 0)
        ctx.set(dut.copy, 1 - copy)
        cycles, empty, waiting, refused = 0, 0, None, 0
        while due and cycles != until:
            ready = rng.random() >= stall
            ctx.set(dut.out.ready, ready)
            free = rng.random() < 0.8          # of PAG
            ctx.set(dut.lookup.ready, free)
            valid = ctx.get(dut.out.valid)
            assert ctx.get(dut.busy) == 1, note
            shown = [ctx.get(getattr(dut.lookup, name)) for name in ("copy", "identity")]
            assert shown == [copy, exact], note
            if waiting is not None:
                assert valid and ctx.get(dut.out.payload).as_bits() == waiting, f"{note}: changed"
            if valid:
                payload = ctx.get(dut.out.payload)
                elements, last = due[0]
                want = sum((value & MASK) << ELEMENT_WIDTH * i for i, value in enumerate(elements))
                assert (payload.data, payload.last) == (want, last), f"{note}: {len(due)} left"
            waiting = payload.as_bits() if valid and not ready else None
            if valid and ready:
                due.pop(0)
            # The memories answer in the next cycle and hold.
            tokens = ctx.get(dut.lookup.addr) if ctx.get(dut.lookup.en) else None
            every = ctx.get(dut.lookup.all)
            refused += every and not free
            assert tokens is None or free or not every, f"{note}: asked while PAG reads"
            row = ctx.get(dut.row_addr) if ctx.get(dut.row_en) else None
            await ctx.tick()
            cycles, empty = cycles + 1, empty + (not valid)
            if tokens is not None:
                for c, (port, value) in enumerate(zip(dut.lookup.ct, ct[tokens])):
                    ctx.set(port, value if every or c == 0 else rng.randrange(cfg.n))
            if row is not None:
                for port, value in zip(dut.row, o[row]):
                    ctx.set(port, value & ((1 << cfg.fmt.output.width) - 1))
        if not due:
            assert (ctx.get(dut.busy), ctx.get(dut.out.valid)) == (0, 0), note
            between = (len(rows) - 1) * (cfg.groups == 1)
            assert empty - refused == 2 + between + (max(n, m) if tables else 0), f"{note}: pace"

    simulate(dut, bench, reset)


@pytest.mark.parametrize("stall", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("name", CONFIGS)
def test_output(name, stall):
    check(CTAConfig(**CONFIGS[name]), 91, stall)


@pytest.mark.parametrize("after", [1, 2, 9, 40])
def test_reset(after):
    check(CTAConfig(**CONFIGS["plain"]), 92, 0.3, reset_after=after, jobs=3)


MUTANTS = {
    "token for cluster": ("Mux(clusters, following, lookup.ct[0])", "following"),
    "clusters not asked for": ("Mux(clusters, following, lookup.ct[0])", "lookup.ct[0]"),
    "cluster of a key": ("following, lookup.ct[0]", "following, lookup.ct[1]"),
    "word of the job behind": ("tables.eq(job.tables), clusters.eq(job.clusters)", "tables.eq(job.tables)"),
    "as many rows as tokens": ("Mux(job.clusters, self.k0, job.m)", "job.m"),
    "tables of the job behind": ("lookup.copy.eq(self.copy)", "lookup.copy.eq(~self.copy)"),
    "beside PAG": ("lookup.en.eq(lookup.ready)]", "lookup.en.eq(1)]"),
    "last before the tables": ("& ~tables", ""),
    "last in every token": ("last_token & (group", "(group"),
    "tables of the queries only": ("Mux(job.n > job.m, job.n, job.m)", "job.m"),
    "unsigned outputs": ("_extend(value)", "_unsigned(value)"),
    "a row twice": ("following.eq(token + 1)", "following.eq(token)"),
    "the row behind the next": ("token.eq(following)]", "token.eq(following + 1)]"),
    "cluster not asked for in time": ("lookup.en.eq(fresh & ~last_token)", "lookup.en.eq(0)"),
    "does not wait for the sink": ('self.out.valid.eq(1), self.out.payload.last',
                                   'self.out.valid.eq(self.out.ready), self.out.payload.last'),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name):
    with pytest.raises(AssertionError, match="seed"):
        check(CTAConfig(**CONFIGS["plain"]), 91, 0.3, edited(OutputStream, *MUTANTS[name]))
