"""What the CIM is played with: clusterings of all kinds, streamed with or without idle cycles.

Expected tables come from ``model.cta.cluster_index``, expected cycles from ``model.cta.timing``.
"""

import numpy as np

from model.cta.cluster_index import cluster_table
from model.cta.timing import cim_latency

__all__ = ["KINDS", "codes_of", "clusterings", "stream", "play", "expected", "check"]

KINDS = ("equal", "distinct", "near", "alternating", "thrice", "random", "runs")


def codes_of(cfg, rng, kind, count):
    """Hash codes (count, l) that exercise memories, bypass and capacities."""
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


def clusterings(cfg, rng, number):
    """Clusterings of all kinds and sizes, as (lsh, codes)."""
    work = []
    for at in range(number):
        count = int(rng.choice([1, 2, cfg.n, rng.integers(1, cfg.n + 1)]))
        work.append((int(rng.integers(3)), codes_of(cfg, rng, KINDS[at % len(KINDS)], count)))
    return work


def stream(cfg, work, rng, idle=0.0):
    """Cycles of column 0 as (clustering, pass, token), or None for an idle one."""
    cycles = []
    for at, (_, codes) in enumerate(work):
        for hpass in range(cfg.passes):
            for token in range(len(codes)):
                while rng.random() < idle:
                    cycles.append(None)
                cycles.append((at, hpass, token))
    return cycles


async def play(ports, cfg, work, cycles, rng, flush=True):
    """Drives the stream. Gives (cycle, ct, first, last, lsh, k, overflow) of every index."""
    seen = []
    for now in range(len(cycles) + (cim_latency(cfg) + 2 if flush else 0)):
        entry = cycles[now] if now < len(cycles) else None
        lsh, hpass, token, end = (int(v) for v in rng.integers(0, 4, 4))   # rubbish when idle
        if entry:
            at, hpass, token = entry
            lsh, end = work[at][0], len(work[at][1]) - 1
        for name, value in (("valid", entry is not None), ("first", token == 0),
                            ("last", token == end), ("lsh", lsh), ("hpass", hpass)):
            ports.set(name, value)
        for c in range(cfg.hash_columns):
            back = cycles[now - c] if 0 <= now - c < len(cycles) else None
            value = rng.integers(cfg.fmt.hash.min, cfg.fmt.hash.max + 1)
            if back and back[1] * cfg.b + c < cfg.l:
                value = work[back[0]][1][back[2]][back[1] * cfg.b + c]
            ports.set(f"hash__{c}", int(value))
        await ports.settle()
        if ports.get("ct_valid"):
            row = [ports.get(f"ct{end}") for end in ("", "_first", "_last", "_lsh")]
            seen.append((now, *row, ports.get("k"), ports.get("overflow")))
        await ports.tick()
    return seen


def expected(cfg, work, cycles):
    """What :func:`play` must give."""
    tables = [cluster_table(cfg, codes, (cfg.k0, cfg.k1, cfg.k2)[lsh]) for lsh, codes in work]
    want = []
    for now, (at, hpass, token) in ((now, entry) for now, entry in enumerate(cycles) if entry):
        if hpass == cfg.passes - 1:
            ct, k, overflow = tables[at]
            want.append((now + cim_latency(cfg), int(ct[token]), token == 0, token == len(ct) - 1,
                         work[at][0], k, overflow))
    return want


def check(seen, want, note=""):
    """Every index in its cycle; k and the overflows of a clustering with its last index."""
    def counted(rows):
        return [row if row[3] else row[:5] for row in rows]
    assert counted(seen) == counted(want), note
