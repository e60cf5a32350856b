"""What the CAG is played with: jobs of all shapes, and its surroundings cycle by cycle.

The surroundings are cluster tables, lanes and the two borrowed columns. Expected centroids come
from ``model.cta.centroid``, expected cycles from ``model.cta.timing``.
"""

from dataclasses import dataclass

import numpy as np

from gen.cta.centroid_sums import CentroidJob
from model.cta.centroid import centroids, residuals
from model.cta.job import LSH
from model.cta.timing import CAG_OPERAND, CAG_ROW_REQUEST, cag_times

__all__ = ["KINDS", "Work", "works", "offer", "Player", "expected"]

KINDS = ("equal", "distinct", "alternating", "thrice", "four", "pairs", "random", "few", "back")


@dataclass
class Work:
    """One job: one slice of one clustering."""

    lsh: int
    slice: int
    ct: np.ndarray      # (count,) cluster table, first-seen numbering
    ct1: np.ndarray     # (count,) table of LSH1, for residuals
    x: np.ndarray       # (count, d) what the lanes give for each token
    first: int = 0      # row of the first token in its slice of the token bank
    gap: int = 0        # cycles between the acceptance of the last job and the offer of this one
    times: object = None    # CagTimes, once accepted

    @property
    def k(self) -> int:
        return int(self.ct.max()) + 1

    @property
    def residual(self) -> bool:
        return self.lsh == LSH.RESIDUAL


def table_of(rng, kind, count, capacity):
    """A cluster table of at most ``capacity`` clusters."""
    t = np.arange(count)
    raw = {"equal": t * 0, "distinct": t, "alternating": t % 2, "thrice": t % 3, "four": t % 4,
           "pairs": t // 2 % 3, "random": rng.integers(0, count, count),
           "few": rng.integers(0, 3, count), "back": t - rng.choice(4, count)}[kind] % capacity
    seen = {}
    return np.array([seen.setdefault(int(v), len(seen)) for v in raw])


def works(cfg, rng, counts, gaps=True):
    """Jobs of given counts (None: random), the slices of a clustering in a row."""
    capacity = (cfg.k0, cfg.k1, cfg.k2)
    token = cfg.fmt.token
    jobs = []
    for at, count in enumerate(counts):
        lsh = int(rng.integers(3))
        count = count or int(rng.choice([1, 2, cfg.n, rng.integers(1, cfg.n + 1)]))
        ct = table_of(rng, KINDS[at % len(KINDS)], count, capacity[lsh])
        x = rng.integers(token.min // 3, token.max // 3 + 1, (count, cfg.dw))
        if rng.random() < 0.3:        # sums and centroids at the ends of their range
            x = np.where(rng.random(x.shape) < 0.7, np.where(x < 0, token.min, token.max), x)
        ct1 = table_of(rng, "few", count, cfg.k1)
        if lsh == LSH.RESIDUAL:
            c1, _ = centroids(cfg, x, ct1, int(ct1.max()) + 1)
            x, _ = residuals(cfg, x, c1, ct1)
        first = int(rng.integers(cfg.tokens - count + 1)) if lsh == LSH.QUERY else 0
        for s in range(cfg.slices):
            jobs.append(Work(lsh, s, ct, ct1, x[:, s * cfg.d:(s + 1) * cfg.d], first,
                             int(rng.choice([0, 0, 1, 7, 40])) * gaps))
    return jobs


def offer(ports, cfg, job):
    """Puts a job on the stream."""
    ports.set("job__payload", CentroidJob(cfg).const({
        "lsh": job.lsh, "slice": job.slice, "count": len(job.ct),
        "residual": job.residual, "first": job.first}).as_bits())
    ports.set("job__valid", 1)


class Player:
    """Surroundings of the CAG. :meth:`play` asserts every address and every cycle on the way.

    ``rows`` collects the written rows as (cycle, lsh, slice, address, started, done, data),
    ``ks`` the k register after each job, ``saturated`` the saturations.
    """

    def __init__(self, ports, cfg, jobs, rng):
        self.ports, self.cfg, self.jobs, self.rng = ports, cfg, jobs, rng
        self.rows, self.ks, self.saturated = [], [], 0
        self.taken = []         # jobs accepted so far
        self.offered = None     # cycle from which the next job is offered
        self.idle = jobs[0].gap
        self.requests = {}      # cycle -> (job, token) of the row request due then
        self.operands = {}      # cycle -> row due at the CACC column
        self.sums = {}          # cycle -> row that the CACC column gives
        self.products = {}      # cycle -> row that the CAVG column gives
        self.multiplies = 0     # whether the CAVG column gets a row in this cycle

    async def play(self):
        limit = sum(2 * len(job.ct) + job.gap + 30 for job in self.jobs)
        now = 0
        while len(self.taken) < len(self.jobs) or now <= self.taken[-1].times.done + 1:
            assert now < limit, f"not done after {limit} cycles"
            self.drive(now)
            await self.ports.settle()
            self.sample(now)
            await self.ports.tick()
            now += 1

    def drive(self, now):
        ports, rng = self.ports, self.rng
        ports.set("turn", now & 1)
        if self.offered is None and len(self.taken) < len(self.jobs):
            if self.idle == 0:
                self.offered = now
                offer(ports, self.cfg, self.jobs[len(self.taken)])
            else:
                self.idle -= 1
        if self.offered is None:
            ports.set("job__valid", 0)
            ports.set("job__payload", int(rng.integers(1 << ports.width("job__payload"))))
        # Tables and columns answer what was asked, and give rubbish else.
        ct, ct1 = rng.integers(1 << ports.width("ct"), size=2)
        if now in self.requests:
            job, token = self.requests[now]
            ct, ct1 = job.ct[token], job.ct1[token]
        ports.set("ct", ct)
        ports.set("ct1", ct1)
        for name, rows in (("cacc_sum", self.sums), ("cavg_sum", self.products)):
            row = rows.pop(now, rng.integers(-1000, 1000, self.cfg.d))
            for i, value in enumerate(row):
                ports.set(f"{name}__{i}", value)

    def sample(self, now):
        ports, lanes = self.ports, range(self.cfg.d)
        self.sample_requests(now)
        assert ports.get("cacc_next") == (now + 1 in self.operands), now
        if now - 2 in self.operands:
            self.sums[now + 1] = (self.operands.pop(now - 2)
                                  + [ports.signed(f"acc__{i}") for i in lanes])
        if self.multiplies:
            self.products[now + 3] = (np.array([ports.signed(f"cavg_x__{i}") for i in lanes])
                                      * ports.signed("cavg_value"))
        self.multiplies = ports.get("cavg_next")
        self.saturated += ports.get("sat_centroid")
        events = ports.get("started"), ports.get("done")
        if ports.get("c_we"):
            where = (ports.get(name) for name in ("c_lsh", "c_slice", "c_addr"))
            self.rows.append((now, *where, *events, [ports.signed(f"c_data__{i}") for i in lanes]))
        else:
            assert events == (0, 0), now
        for job in self.taken:
            if now == job.times.written + 1:
                self.ks.append(ports.get(f"k__{job.lsh}"))
        times = [job.times for job in self.taken]
        assert ports.get("cacc_busy") == any(t.accept < now <= t.written for t in times), now
        assert ports.get("cavg_busy") == any(t.average <= now <= t.done for t in times), now
        if self.offered is not None and ports.get("job__ready"):
            self.accept(now, self.jobs[len(self.taken)])

    def accept(self, now, job):
        cfg = self.cfg
        job.times = cag_times(cfg, self.offered, len(job.ct), job.k, [j.times for j in self.taken],
                              job.first + cfg.program.fast * job.slice)
        assert now == job.times.accept, f"taken in {now}, due in {job.times.accept}"
        for token in range(len(job.ct)):
            self.requests[now + CAG_ROW_REQUEST + token] = job, token
        self.taken.append(job)
        self.offered = None
        self.idle = self.jobs[len(self.taken)].gap if len(self.taken) < len(self.jobs) else 0

    def sample_requests(self, now):
        """The table is asked a cycle before the lanes, the lanes two cycles before the column."""
        ports, cfg = self.ports, self.cfg
        job, token = self.requests.get(now + 1, (None, 0))
        assert ports.get("ct_en") == (job is not None), now
        if ports.get("ct_en"):
            assert (ports.get("ct_addr"), ports.get("ct_lsh")) == (token, job.lsh), now
        assert ports.get("tok_en") == (now in self.requests), now
        if now in self.requests:
            job, token = self.requests.pop(now)
            at, fast = job.first + token, cfg.program.fast
            row = job.slice * cfg.token_stride + at
            if fast:       # two slices side by side, in the other order where the token is odd
                row = 2 * (job.slice // 2 * cfg.token_stride + at) + (job.slice % 2 ^ at % 2)
            assert ports.get("tok_addr") == row, now
            assert ports.get("residual") == job.residual, now
            if job.residual:
                row = cfg.key_base + job.ct1[token]       # the first slice is a copy
                if job.slice:
                    row = _row(cfg, job.slice, job.ct1[token], cfg.k1)
                assert ports.get("c1_addr") == row, now
                assert ports.get("c1_copy") == (job.slice == 0), now
            self.operands[now + CAG_OPERAND - CAG_ROW_REQUEST] = job.x[token]


def expected(cfg, jobs):
    """Rows, k registers and saturations that :class:`Player` must have seen."""
    rows, saturated = [], 0
    for job in jobs:
        c, moved = centroids(cfg, job.x, job.ct, job.k)
        saturated += moved
        start, rows_of = ((0, cfg.k0), (0, cfg.k1), (cfg.slices * cfg.k1, cfg.k2))[job.lsh]
        rows += [(job.times.started + q, job.lsh, job.slice, start + _row(cfg, job.slice, q, rows_of), q == 0,
                  q == job.k - 1, row.tolist()) for q, row in enumerate(c)]
    return rows, [job.k for job in jobs], saturated


def _row(cfg, part, row, rows):
    """Where a slice of centroid ``row`` of ``rows`` lies: with fast products beside the other of its pair."""
    return 2 * (part // 2 * rows + row) + part % 2 if cfg.program.fast else part * rows + row
