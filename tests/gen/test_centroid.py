"""CAG: centroids, counts, saturations and all cycles, against model.cta.centroid and timing."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from gen.cta.centroid import CentroidAggregation
from gen.cta.centroid_means import MeanLane
from gen.cta.centroid_sums import CentroidSums
from model.cta.centroid import centroids, residuals
from model.cta.config import CTAConfig
from model.cta.timing import CAG_OPERAND, CAG_ROW_REQUEST, cag_times

CONFIGS = {
    "one slice": dict(b=4, d=8, l=2, n=24),
    "two slices": dict(b=2, d=8, dw=16, l=3, n=19, k0=17, k1=19, k2=11),
    "three slices": dict(b=2, d=8, dw=24, l=1, n=6),
    "smallest": dict(b=2, d=8, l=1, n=2, k0=1, k1=2, k2=1),
}

KINDS = ("equal", "distinct", "alternating", "thrice", "four", "pairs", "random", "few", "back")


def table_of(rng, kind, count, capacity):
    """A cluster table (count,) with first-seen numbering and at most ``capacity`` clusters."""
    t = np.arange(count)
    raw = {"equal": t * 0, "distinct": t, "alternating": t % 2, "thrice": t % 3, "four": t % 4,
           "pairs": t // 2 % 3, "random": rng.integers(0, count, count),
           "few": rng.integers(0, 3, count), "back": t - rng.choice(4, count)}[kind] % capacity
    seen = {}
    return np.array([seen.setdefault(int(v), len(seen)) for v in raw])


@dataclass
class Work:
    """One job for the CAG, its tokens and what must come of it."""

    lsh: int
    slice: int
    ct: np.ndarray
    identity: bool = False
    query: bool = False
    gap: int = 0
    x: np.ndarray = None             # (count, d) operands of the borrowed column
    ct1: np.ndarray = None
    want: np.ndarray = None          # (k, d)
    saturated: int = 0
    times: object = None
    rows: list = field(default_factory=list)

    @property
    def k(self):
        return int(self.ct.max()) + 1

    @property
    def residual(self):
        return self.lsh == 2


def works(cfg, rng, counts):
    """Jobs of all shapes, of given or random counts, slices of a clustering in a row."""
    capacity = (cfg.k0, cfg.k1, cfg.k2)
    token = cfg.fmt.token
    jobs = []
    for at, count in enumerate(counts):
        lsh = int(rng.integers(3))
        count = count or int(rng.choice([1, 2, cfg.n, rng.integers(1, cfg.n + 1)]))
        identity = lsh < 2 and count <= capacity[lsh] and rng.random() < 0.2
        kind = "distinct" if identity else KINDS[at % len(KINDS)]
        ct = table_of(rng, kind, count, capacity[lsh])
        wild = rng.random() < 0.3        # sums and centroids at the ends of their range
        low, high = (token.min, token.max) if wild else (token.min // 3, token.max // 3)
        x = rng.integers(low, high + 1, (count, cfg.dw))
        if wild:
            x = np.where(rng.random(x.shape) < 0.7, np.sign(x) * token.max - (x < 0), x)
        ct1 = table_of(rng, "few", count, cfg.k1)
        if lsh == 2:
            c1, _ = centroids(cfg, x, ct1, int(ct1.max()) + 1)
            x, _ = residuals(cfg, x, c1, ct1)
        for s in range(cfg.slices):
            part = x[:, s * cfg.d:(s + 1) * cfg.d]
            job = Work(lsh, s, ct, identity, lsh == 0 and rng.random() < 0.5,
                       int(rng.choice([0, 0, 1, 7, 40])), part, ct1)
            job.want, job.saturated = centroids(cfg, part, ct, job.k)
            jobs.append(job)
    return jobs


class Host:
    """Cluster tables, lanes and borrowed columns as the CAG sees them, clocked with it."""

    def __init__(self, cfg):
        self.cfg = cfg
        self.operands = {}      # cycle -> row due at the CACC column
        self.products = {}      # cycle -> row of products of the CAVG column
        self.sums = None        # row of sums of the CACC column in the next cycle
        self.asked = []         # (job, token) of the row requests to come
        self.reply = (None, None)

    def check_request(self, now, ctx, dut):
        """A row request names the right rows; its x is due two cycles later."""
        cfg = self.cfg
        job, token = self.asked.pop(0)
        assert now == job.times.accept + CAG_ROW_REQUEST + token
        assert ctx.get(dut.tok_addr) == (job.slice * cfg.n + token
                                         + (cfg.query_base if job.query else 0))
        assert ctx.get(dut.residual) == job.residual
        if job.residual:
            assert ctx.get(dut.c1_addr) == job.slice * cfg.k1 + job.ct1[token]
        assert now + 2 == job.times.accept + CAG_OPERAND + token
        self.operands[now + 2] = job.x[token]


def offer(ctx, dut, job):
    """Puts a job on the stream."""
    for key, value in (("lsh", job.lsh), ("slice", job.slice), ("count", len(job.ct)),
                       ("identity", job.identity), ("residual", job.residual),
                       ("query", job.query)):
        ctx.set(getattr(dut.job.payload, key), value)


async def cut_off(ctx, dut, job, after, reset):
    """Starts ``job`` twice with an idle table and resets ``after`` cycles."""
    offer(ctx, dut, job)
    ctx.set(dut.job.valid, 1)
    for _ in range(after):
        await ctx.tick()
    ctx.set(dut.job.valid, 0)
    ctx.set(reset, 1)
    await ctx.tick()
    ctx.set(reset, 0)


def run(cfg, jobs, rng, reset_after=None):
    """Drives the jobs, asserts addresses and cycles; gives rows, k registers, saturations."""
    dut, host, reset = CentroidAggregation(cfg), Host(cfg), Signal()
    width = cfg.token_id_width
    times, rows, k_seen = [], [], {}
    saturations = 0

    async def bench(ctx):
        nonlocal saturations
        if reset_after is not None:
            await cut_off(ctx, dut, jobs[0], reset_after, reset)
        waiting, offered = list(jobs), None
        current = following = None
        wait = waiting[0].gap if waiting else 0
        now = -1
        while waiting or len(times) < len(jobs) or now <= times[-1].done + 1:
            now += 1
            assert now < 400 + sum(2 * len(j.ct) + j.gap + 20 for j in jobs)
            # Job stream: the model says when it is taken.
            if waiting and wait == 0 and offered is None:
                offered = now
                offer(ctx, dut, waiting[0])
            wait = max(0, wait - 1)
            ctx.set(dut.job.valid, offered is not None)
            # Cluster tables: rubbish unless asked in the cycle before.
            ct, ct1 = host.reply
            ctx.set(dut.ct, ct if ct is not None else int(rng.integers(1 << width)))
            ctx.set(dut.ct1, ct1 if ct1 is not None else int(rng.integers(1 << width)))
            # Columns: CACC's operand of cycle c and acc of c+2 give the sum in c+3.
            for i in range(cfg.d):
                ctx.set(dut.cacc_sum[i], int(host.sums[i]) if host.sums is not None
                        else int(rng.integers(-1000, 1000)))
                ctx.set(dut.cavg_sum[i], int(host.products[now][i]) if now in host.products
                        else int(rng.integers(-1000, 1000)))
            if ctx.get(dut.tok_en):
                host.check_request(now, ctx, dut)
            assert ctx.get(dut.cacc_en) == (now in host.operands)
            host.sums = None
            if now - 2 in host.operands:
                host.sums = host.operands[now - 2] + [ctx.get(a) for a in dut.acc]
            if ctx.get(dut.cavg_en):
                host.products[now + 3] = np.array([ctx.get(x) for x in dut.cavg_x],
                                                  dtype=np.int64) * ctx.get(dut.cavg_value)
            # Results.
            saturations += ctx.get(dut.sat_centroid)
            if ctx.get(dut.c_we):
                rows.append((now, ctx.get(dut.c_lsh), ctx.get(dut.c_slice), ctx.get(dut.c_addr),
                             ctx.get(dut.started), ctx.get(dut.done),
                             [ctx.get(c) for c in dut.c_data]))
            else:
                assert not ctx.get(dut.started) and not ctx.get(dut.done)
            for job, at in zip(jobs, times):
                if now == at.written + 1:
                    k_seen[id(job)] = ctx.get(dut.k[job.lsh])
            assert ctx.get(dut.cacc_busy) == any(t.accept < now <= t.written for t in times)
            assert ctx.get(dut.cavg_busy) == any(t.average <= now <= t.done for t in times)
            # Table reads: token t of a job is asked for in cycle accept + 1 + t.
            host.reply = (None, None)
            if current and now - current.times.accept > len(current.ct):
                current = None
            current = current or following
            if current:
                following = None
                token = now - current.times.accept - 1
                assert ctx.get(dut.ct_en) == (not current.identity)
                assert ctx.get(dut.ct_addr) == token and ctx.get(dut.ct_lsh) == current.lsh
                host.reply = (None if current.identity else int(current.ct[token]),
                              int(current.ct1[token]))
                host.asked.append((current, token))
            else:
                assert not ctx.get(dut.ct_en)
            if offered is not None and ctx.get(dut.job.ready):
                following = waiting.pop(0)
                following.times = cag_times(offered, len(following.ct), following.k, times)
                assert now == following.times.accept
                times.append(following.times)
                offered, wait = None, waiting[0].gap if waiting else 0
            await ctx.tick()

    sim = Simulator(ResetInserter(reset)(dut))
    sim.add_clock(1e-9)
    sim.add_testbench(bench)
    sim.run()
    return rows, k_seen, saturations


def check(cfg, seed, counts=(None,) * 14, gaps=True, reset_after=None):
    rng = np.random.default_rng(seed)
    jobs = works(cfg, rng, counts)
    for job in jobs:
        job.gap *= gaps
    rows, k_seen, saturations = run(cfg, jobs, rng, reset_after)
    want = []
    for job in jobs:
        base = {0: job.slice * cfg.k0, 1: job.slice * cfg.k1,
                2: cfg.slices * cfg.k0 + job.slice * cfg.k2}[job.lsh]
        want += [(job.times.started + q, job.lsh, job.slice, base + q, q == 0, q == job.k - 1,
                  job.want[q].tolist()) for q in range(job.k)]
        assert job.times.done == job.times.started + job.k - 1
        assert k_seen[id(job)] == job.k, f"seed {seed}"
    assert rows == want, f"seed {seed}"
    assert saturations == sum(job.saturated for job in jobs), f"seed {seed}"
    return jobs


@pytest.mark.parametrize("gaps", [True, False], ids=["gaps", "back to back"])
@pytest.mark.parametrize("name", CONFIGS)
def test_centroids(name, gaps):
    """Rows, addresses, cycles, k and saturations of jobs of every pattern."""
    check(CTAConfig(**CONFIGS[name]), seed=1, gaps=gaps)


@pytest.mark.parametrize("counts, waiting", [((1, 24, 1, 1, 1, 20, 2), True), ((1,) * 12, True),
                                             ((24, 9, 24, 24, 24), False)])
def test_banks(counts, waiting):
    """A job waits for its bank where averaging takes longer than what comes between."""
    jobs = check(CTAConfig(**CONFIGS["one slice"]), seed=5, counts=counts, gaps=False)
    times = [job.times for job in jobs]
    waits = [now.accept > last.following for last, now in zip(times, times[1:])]
    assert any(waits) == waiting


def test_reset_in_mid_job():
    """Jobs after a reset are untouched by the one it cut off, wherever it did."""
    cfg = CTAConfig(**CONFIGS["one slice"])
    for after in (1, 3, 9, 20, 33, 45):
        check(cfg, seed=after, counts=(24, 7, 24), reset_after=after)


def test_full_count():
    """One cluster of as many extreme tokens as there can be: the widest sum and the last count."""
    cfg = CTAConfig(b=2, d=8, l=1, n=33)
    rng = np.random.default_rng(2)
    for value in (cfg.fmt.token.min, cfg.fmt.token.max):
        job = Work(0, 0, np.zeros(cfg.n, dtype=int), x=np.full((cfg.n, cfg.d), value),
                   ct1=np.zeros(cfg.n, dtype=int))
        want, _ = centroids(cfg, job.x, job.ct, 1)
        rows, _, _ = run(cfg, [job], rng)
        assert [row[-1] for row in rows] == want.tolist()


def test_mutant_without_hazards(monkeypatch):
    """Without the forwarding of the last row, a cluster that alternates loses members."""
    honest = CentroidSums.hazards
    monkeypatch.setattr(CentroidSums, "hazards", lambda self, index: (honest(self, index)[0], 0))
    with pytest.raises(AssertionError):
        check(CTAConfig(**CONFIGS["one slice"]), seed=1)


def test_mutant_rounding(monkeypatch):
    """A mean that is cut off instead of rounded is seen."""
    monkeypatch.setattr(MeanLane, "rounded", lambda self, product: product >> (
        self.cfg.mean_reciprocal_frac + self.cfg.residual_shift))
    with pytest.raises(AssertionError):
        check(CTAConfig(**CONFIGS["one slice"]), seed=1)
