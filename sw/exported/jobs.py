"""Exported layers as jobs in raw integers, on the golden model or on simulated Verilog."""

from collections.abc import Sequence

import numpy as np

from model.cta import head as cta
from model.cta import layer as attention
from model.cta.job import HeadResult
from model.errors import JobRefused
from model.lookup import layer as lookup
from model.lookup.job import LayerResult, Order
from sw.exported.codec import set_of
from sw.exported.layer import AttentionLayer, FFNLayer
from sw.sim.backends import BACKENDS, tools
from sw.sim.engines import ENGINES

__all__ = ["add_up", "require_backend", "run_ffn", "run_heads"]


def require_backend(backend: str) -> None:
    """Raise ValueError for a backend that there is not."""
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}, must be one of {', '.join(BACKENDS)}")


def run_heads(layer: AttentionLayer, sequences: Sequence[tuple], backend: str,
              progress: bool = False) -> list[list[HeadResult]]:
    """All heads of every sequence ``(xkv, xq)`` of raw tokens, ``xq`` None for self-attention.

    ``cycles`` and ``phases`` of the results are measured (rtl) or from the cycle model; loading
    is not in them. Raises
    :class:`model.errors.JobRefused` for sequences that the engine does not take.
    """
    require_backend(backend)
    if backend == "rtl":
        jobs = [[layer.job(head, xkv, xq) for head in range(len(layer.heads))]
                for xkv, xq in sequences]
        for row in jobs:
            cta.require_accepted(layer.cfg, row[0])
        return _simulate_heads(layer, jobs, progress)
    results = []
    for xkv, xq in sequences:
        results.append(attention.run(layer.cfg, layer.heads, layer.layer_job(xkv, xq)).heads)
        for head, result in enumerate(results[-1]):
            cost = ENGINES["cta"].cycles(layer.cfg, layer.heads[head], layer.job(head, xkv, xq), result,
                                         reuse=head > 0)
            result.cycles, result.phases = cost.total, cost.phases
    return results


def _simulate_heads(layer, jobs, progress):
    """One simulation of all jobs: the heads of a sequence reuse the clusters of the first, and weights
    are loaded once where the engine has a set a head."""
    with tools():
        from model.cta.layout import token_loads, weight_loads
        driver = ENGINES["cta"].driver
        session, resident = driver.Session(layer.cfg), {}
        for row in jobs:
            for head, job in enumerate(row):
                index = set_of(layer.cfg, head)
                if resident.get(index) != head:
                    session.load(weight_loads(layer.cfg, layer.heads[head], index))
                    resident[index] = head
                if not head:
                    session.load(token_loads(job))
                session.job(layer.heads[head], job, index, reload=False, reuse=head > 0)
        found = _accepted(session.play(driver.build(layer.cfg, progress=progress), progress)[1])
    size = len(layer.heads)
    return [found[at:at + size] for at in range(0, len(found), size)]


def _accepted(results):
    for result in results:
        if isinstance(result, Exception):
            raise JobRefused(result.code, "by the simulated engine")
    return results


def run_ffn(layer: FFNLayer, x: np.ndarray, backend: str, order: Order = Order.TOKEN_MAJOR,
            residual: np.ndarray | None = None, progress: bool = False) -> LayerResult:
    """The layer on raw tokens (t, d), in as few jobs as they fit; sums of cycles and events.

    ``codes`` is None on ``rtl``: the engine keeps them.
    """
    require_backend(backend)
    if not len(x):
        raise ValueError("there are 0 tokens, must be at least 1")
    rows = [slice(at, at + lookup.TOKENS_MAX) for at in range(0, len(x), lookup.TOKENS_MAX)]
    jobs = [layer.job(x[part], order, None if residual is None else residual[part])
            for part in rows]
    engine = ENGINES["lookup"]
    if backend == "rtl":
        with tools():
            found = _accepted(engine.driver.run_jobs(
                layer.cfg, [(layer.weights, job) for job in jobs], progress=progress))
    else:
        found = [engine.run(layer.cfg, layer.weights, job, backend) for job in jobs]
    total = found[0]
    for result in found[1:]:
        total.y = np.concatenate([total.y, result.y])
        if total.codes is not None:
            total.codes = np.concatenate([total.codes, result.codes])
        total.saturations = add_up([total.saturations, result.saturations])
        total.cycles += result.cycles
        total.table_bytes += result.table_bytes
    return total


def add_up(counters):
    """The sums by kind of counters that have the same kinds."""
    return {kind: sum(counter[kind] for counter in counters) for kind in counters[0]}
