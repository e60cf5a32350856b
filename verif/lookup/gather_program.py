"""What the gather is played with, natively and on Verilator: rows in, table beats, y out."""

from dataclasses import dataclass, field

import numpy as np

from model.lookup import gather as golden
from model.lookup.config import LookupConfig
from model.lookup.job import Order
from model.lookup.layout import HOST_LANES, table_beats
from verif import actors
from verif.actors import FREE, Memory, Sink, Source, Stall, pack
from verif.lookup.hash_program import row_words

__all__ = ["Work", "Trial", "random_layer", "random_work", "table_memory", "load", "run"]


@dataclass
class Work:
    """A job for the gather alone; ``tables`` and ``out_bias`` stay from job to job."""

    order: Order
    codes: np.ndarray
    scores: np.ndarray
    shift_y: int
    residual: np.ndarray | None = None


@dataclass
class Trial:
    """What came out of a job, in cycles since its start."""

    rows: list = field(default_factory=list)
    responses: list = field(default_factory=list)
    y: list = field(default_factory=list)


def random_layer(cfg: LookupConfig, rng):
    """Tables and output bias."""
    fmt = cfg.fmt.out_bias
    return (rng.integers(-128, 128, (cfg.h, 1 << cfg.tau, cfg.d)).astype(np.int8),
            rng.integers(fmt.min, fmt.max + 1, cfg.d))


def random_work(cfg: LookupConfig, rng, order, tokens, shift_y=None) -> Work:
    """Random codes and scores; few codes, so that rows return, and both ends of the scores."""
    shape = (tokens, cfg.h, cfg.entries)
    codes = rng.integers(0, 1 << cfg.tau, shape)
    codes = np.where(rng.random(shape) < 0.3, codes[:1], codes)
    scores = rng.integers(cfg.score.min, cfg.score.max + 1, shape)
    scores = np.where(rng.random(shape) < 0.2, cfg.score.max, scores)
    fmt = cfg.fmt.output
    residual = rng.integers(fmt.min, fmt.max + 1, (tokens, cfg.d)) if cfg.residual else None
    bits = cfg.gather_acc.width - fmt.width
    shift = int(rng.integers(max(0, bits - 6), max(1, bits))) if shift_y is None else shift_y
    return Work(order, codes, scores, shift, residual)


def table_memory(ports, cfg, tables, latency, seed=0, stalls=FREE) -> Memory:
    """The tables behind the table port."""
    return Memory(Sink(ports, "request", Stall((seed, "request"), stalls)),
                  Source(ports, "response", stall=Stall((seed, "response"), stalls)),
                  table_beats(cfg, tables), latency, cfg.outstanding)


async def load(ports, cfg, tables, out_bias):
    """Write the output bias and, where they are internal, the tables."""
    for name, values in (("o", out_bias),
                         ("t", table_beats(cfg, tables) if cfg.tables == "internal" else ())):
        for at, value in enumerate(values):
            ports.set(f"{name}_en", 1)
            ports.set(f"{name}_addr", at)
            ports.set(f"{name}_data", int(value) & ((1 << ports.width(f"{name}_data")) - 1))
            await ports.tick()
        if len(values):
            ports.set(f"{name}_en", 0)


def _beats(raw, fmt, last=False):
    """Elements (t, d) as beats; ``last`` marks the last one of a token."""
    return [pack([(v, fmt.width) for v in row[at:at + HOST_LANES]]
                 + [(at + HOST_LANES >= len(row), 1)] * last)
            for row in raw for at in range(0, len(row), HOST_LANES)]


async def run(ports, cfg, tables, out_bias, work, seed, latency=lambda: 1, stalls=FREE,
              memory_stalls=FREE, y_stalls=None, limit=50_000, stop=None) -> Trial:
    """Play one job; asserts y, saturations, addresses and bytes.

    With ``stop`` it ends after as many cycles and asserts nothing.
    """
    want, saturated = golden.gather(cfg, work.codes, work.scores, tables, out_bias, work.shift_y,
                                    work.residual)
    want = _beats(want, cfg.fmt.output, last=True)
    tokens = len(work.codes)
    rows = Source(ports, "rows", row_words(cfg, work.codes, work.scores),
                  Stall((seed, "rows"), stalls))
    y = Sink(ports, "y", Stall((seed, "y"), y_stalls or stalls))
    ends = [rows, y]
    if cfg.residual:
        ends.append(Source(ports, "residual", _beats(work.residual, cfg.fmt.output),
                             Stall((seed, "residual"), stalls)))
    memory = None
    if cfg.tables == "external":
        memory = table_memory(ports, cfg, tables, latency, seed, memory_stalls)
        ends += [memory.request, memory.response, memory]
    counts, trial = {"sat_output": 0, "beats": 0}, Trial()

    def watch(cycle):
        for name in counts:
            counts[name] += ports.get(name)

    if cfg.tile:
        ports.set("order", int(work.order))
    for name, value in (("start", 1), ("tokens", tokens), ("shift_y", work.shift_y)):
        ports.set(name, value)
    await ports.tick()
    ports.set("start", 0)
    await actors.run(ports, ends, lambda: len(y.received) >= len(want), limit, watch,
               stop)
    if stop is not None:
        return trial
    for at, (got, expected) in enumerate(zip(y.received, want, strict=True)):
        assert got == expected, f"seed {seed}: y beat {at} is {got:#x}, must be {expected:#x}"
    assert counts["sat_output"] == saturated, \
        f"seed {seed}: {counts['sat_output']} outputs saturated, must be {saturated}"
    total = golden.table_bytes(cfg, tokens, work.order)
    assert counts["beats"] * cfg.lanes == total, f"seed {seed}: {counts['beats']} beats"
    if memory and work.order == Order.TOKEN_MAJOR:
        expected = (golden.rows(cfg, work.codes).reshape(-1, 1) * cfg.row_beats
                    + np.arange(cfg.row_beats)).reshape(-1)
        assert memory.addresses == list(expected), f"seed {seed}: addresses"
    await ports.settle()
    assert not ports.get("busy"), "busy after the last beat"
    await ports.tick()
    trial.rows, trial.y = rows.cycles, y.cycles
    trial.responses = memory.response.cycles if memory else []
    return trial
