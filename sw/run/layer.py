"""One LookupFFN layer, from real operands to a result and its report, on any of the backends."""

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from model.border import Borders
from model.lookup import bh4, gather
from model.lookup import hash as hashing
from model.lookup import layer as golden
from model.lookup.config import LookupConfig
from model.lookup.cost import account, vanilla_flop
from model.lookup.cycles import layer_cycles
from model.lookup.job import Job, LayerResult, LayerWeights, Order
from model.lookup.quantise import quantise
from model.lookup.reference import Layer, codes, forward, project
from model.lookup.timing import TABLE_LATENCY
from sw.io.figures import relative_error
from sw.io.npz import InputError
from sw.sim.backends import tools

__all__ = ["Prepared", "Outcome", "prepare", "execute", "build_rtl", "differences", "report",
           "cost"]



@dataclass(frozen=True)
class Prepared:
    """A layer in real numbers and in raw integers; ``point`` is that of the output, ``borders``
    counts what saturated on the way."""

    cfg: LookupConfig
    real: Layer
    weights: LayerWeights
    job: Job
    point: int
    borders: Borders


@dataclass(frozen=True)
class Outcome:
    """What a backend gave: real outputs, the raw result, and what saturated on the way from the
    one to the other (backend "float" only: engines give integers)."""

    y: np.ndarray
    result: LayerResult
    borders: Borders = field(default_factory=Borders)


def prepare(cfg: LookupConfig, real: Layer, order: Order = Order.TOKEN_MAJOR) -> Prepared:
    """Quantisation."""
    if len(real.x) > golden.TOKENS_MAX:
        raise InputError(f"there are {len(real.x)} tokens, must be at most {golden.TOKENS_MAX}")
    reach = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for name, value in (("z", project(cfg, real)), ("y", forward(cfg, real))):
            reach[name] = np.abs(value).max()
            if not np.isfinite(reach[name]):
                raise InputError(f"{name} is not finite in double precision")
    try:
        borders = Borders()
        weights, job, point = quantise(cfg, real, borders)
        job = dataclasses.replace(job, order=order)
        golden.validate(cfg, weights, job)
    except (ValueError, OverflowError) as error:
        raise InputError(f"the layer cannot be represented, z reaches {reach['z']:.3g} and y "
                         f"{reach['y']:.3g}: {error}") from None
    return Prepared(cfg, real, weights, job, point, borders)


def execute(prepared: Prepared, backend: str, progress: bool = False) -> Outcome:
    """Run the job; ``rtl`` builds the simulator if it is not in the cache.

    The engine keeps the codes to itself: those of ``rtl`` are the golden model's.
    """
    cfg, weights, job = prepared.cfg, prepared.weights, prepared.job
    if backend == "float":
        return _float(prepared)
    if backend == "golden":
        result = golden.run(cfg, weights, job)
    else:
        result = dataclasses.replace(_simulate(cfg, weights, job, progress),
                                     codes=_taken(prepared)[:, :, 0])
    return Outcome(cfg.fmt.output.real(result.y, prepared.point), result)


def build_rtl(cfg: LookupConfig, progress: bool = False) -> None:
    """Emit and compile the engine, unless that has been done for this configuration."""
    with tools():
        from sw.sim.lookup import build
        build(cfg, progress=progress)


def _simulate(cfg, weights, job, progress):
    with tools():
        from sw.sim.lookup import Refused, run_layer
        try:
            return run_layer(cfg, weights, job, progress=progress, latency=TABLE_LATENCY)
        except Refused as error:
            raise InputError(str(error)) from None


def _float(prepared: Prepared) -> Outcome:
    """The layer in double precision."""
    cfg, real, job = prepared.cfg, prepared.real, prepared.job
    y = forward(cfg, real)
    # Double precision has no format: what would not fit the engine's outputs is counted as theirs.
    borders = Borders()
    raw = borders.quantise("y", cfg.fmt.output, y, prepared.point)
    return Outcome(y, LayerResult(raw, codes(cfg, project(cfg, real))[:, :, 0],
                                  table_bytes=gather.table_bytes(cfg, len(y), job.order)), borders)


def _taken(prepared: Prepared) -> np.ndarray:
    """All rows (t, h, entries) that the integers take."""
    job = prepared.job
    z, _ = bh4.project(prepared.cfg, job.x, prepared.weights, job.gain, job.skip, job.shift_skip)
    return hashing.codes(prepared.cfg, z)


def cost(cfg: LookupConfig) -> dict:
    """What the layer costs a token where nothing else is said, as plain data."""
    costs = account(cfg)
    return {"flop": costs.flop, "vanilla_flop": vanilla_flop(cfg.d), **dataclasses.asdict(costs),
            "bound": costs.bound, "worthwhile_batch": costs.worthwhile_batch}


def differences(a: LayerResult, b: LayerResult) -> list[str]:
    """Names of what differs between two results, of what the engine lets out."""
    wrong = [] if np.array_equal(a.y, b.y) else ["y"]
    return wrong + [name for name in ("saturations", "table_bytes")
                    if getattr(a, name) != getattr(b, name)]


def report(prepared: Prepared, outcome: Outcome, backend: str) -> dict:
    """Everything about a run, as plain data."""
    cfg, real, r = prepared.cfg, prepared.real, outcome.result
    chosen = codes(cfg, project(cfg, real))
    taken = chosen if backend == "float" else _taken(prepared)
    data = {
        "backend": backend, "order": prepared.job.order.name.lower(),
        "config": {key: value for key, value in cfg.as_dict().items() if key != "fmt"},
        "config_hash": cfg.digest,
        "tokens": len(real.x), "skip": [float(real.skip), float(real.gain)],
        "error": {"against float, rows forced": relative_error(outcome.y,
                                                                forward(cfg, real, taken)),
                  "against float": relative_error(outcome.y, forward(cfg, real))},
        "wrong_rows": float(np.mean(r.codes != chosen[:, :, 0])),
        "points": {"y": prepared.point},
        "operands": prepared.borders.as_dict(),
        "operands_saturated": prepared.borders.saturated,
        "table_bytes": r.table_bytes,
        "cost": cost(cfg),
    }
    if backend == "float":
        data["outputs"] = outcome.borders.as_dict()
    else:
        data["saturations"] = {kind.name.lower(): count for kind, count in r.saturations.items()}
        total = r.cycles if backend == "rtl" else layer_cycles(
            cfg, len(real.x), prepared.job.order, TABLE_LATENCY).total
        data["cycles"] = {"source": "rtl" if backend == "rtl" else "cycle model", "total": total,
                          "per_token": total / len(real.x), "table_latency": TABLE_LATENCY}
    return data
