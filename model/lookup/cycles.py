"""Cycle model of the engine: what a job costs, exactly, from sizes alone.

For a host that always offers tokens and takes y, and a table memory of fixed latency. Puts the clocks
of projection, hash and gather behind each other; the RTL's count equals :func:`layer_cycles` in
every such run of the tests. Cycle 0 is the one in which the job is taken; the count goes to the
transfer of the last beat of y.
"""

from dataclasses import dataclass, field

from model.lookup.config import LookupConfig
from model.lookup.gather_cycles import GatherClock, HashClock
from model.lookup.job import Job, LayerResult, LayerWeights, Order
from model.lookup.projection_cycles import z_cycles
from model.lookup.timing import INTERNAL_LATENCY, TABLE_LATENCY

__all__ = ["LayerCycles", "job_cycles", "layer_cycles"]

START = 1       # the job is taken in cycle 0, checked in 1
FIRST_X = 2     # its first beat of x


@dataclass(frozen=True)
class LayerCycles:
    """``total`` cycles of a job; the cycles of every transfer of ``z``, table port and ``y``.

    There are no ``phases``: projection, hash and gather work at the same time.
    """

    total: int
    z: list[int]
    requests: list[int]
    responses: list[int]
    y: list[int]
    phases: dict = field(default_factory=dict)


def layer_cycles(cfg: LookupConfig, tokens: int, order: Order = Order.TOKEN_MAJOR,
                 latency: int = 1) -> LayerCycles:
    """Cycles of a job of ``tokens`` tokens; ``latency`` is the table memory's (external tables)."""
    if cfg.tables == "internal":
        latency = INTERNAL_LATENCY
    gather = GatherClock(cfg, order, tokens, latency, START)
    clock = HashClock(cfg, gather)
    z = z_cycles(cfg, tokens, lambda offered: clock.beat(offered + FIRST_X) - FIRST_X)
    return LayerCycles(gather.y[-1], [at + FIRST_X for at in z], gather.requests,
                       gather.responses, gather.y)


def job_cycles(cfg: LookupConfig, weights: LayerWeights, job: Job, result: LayerResult, *,
               latency: int = TABLE_LATENCY) -> LayerCycles:
    """Cycles of ``job``, whatever its ``weights`` and ``result``: all engines are asked alike."""
    return layer_cycles(cfg, len(job.x), job.order, latency)
