"""From a prepared job to a result and its report, for every engine and on every backend."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from model.border import Borders
from model.quantised import Quantised
from sw.kernels.build import variant
from sw.sim import backends
from sw.sim.engines import Engine

__all__ = ["BACKENDS", "Outcome", "Prepared", "execute", "report"]

BACKENDS = ("float", *backends.BACKENDS)
"""What computes a job: double precision, or what computes it in raw integers."""


@dataclass(frozen=True)
class Outcome:
    """What a backend gave.

    Parameters
    ----------
    output : in real numbers, as the engine's user sees it.
    result : raw, as the engine gives it.
    borders : what saturated on the way from the one to the other (backend "float" only: engines give
        integers).
    """

    output: np.ndarray
    result: Any
    borders: Borders = field(default_factory=Borders)


@dataclass(frozen=True)
class Prepared(ABC):
    """A job of one engine: ``real`` operands, and ``quantised`` the same in raw integers."""

    ENGINE: ClassVar[Engine]
    cfg: Any
    real: Any
    quantised: Quantised

    @abstractmethod
    def in_double(self) -> tuple[np.ndarray, dict]:
        """The outputs of the same algorithm in double precision, and the other fields of a result."""

    @abstractmethod
    def figures(self, outcome: Outcome, backend: str) -> dict:
        """What a report has of this engine alone, as plain data."""

    def events(self, result) -> dict:
        """What happened on the way of a result of the engine, beside what saturated."""
        return {}

    def pace(self, cycles: int) -> dict:
        """What a report says of its cycles, beside total and phases."""
        return {}

    def completed(self, result):
        """A result of the engine with what it keeps to itself, from the golden model."""
        return result


def execute(prepared: Prepared, backend: str, progress: bool = False) -> Outcome:
    """Run the job; ``rtl`` builds the simulator if it is not in the cache.

    Raises :class:`sw.io.errors.InputError` where the engine refuses the job or a tool fails.
    """
    cfg, q, engine = prepared.cfg, prepared.quantised, prepared.ENGINE
    if backend == "float":
        output, others = prepared.in_double()
        # Double precision has no format: what would not fit the engine's outputs is counted as theirs.
        borders, key = Borders(), q.OUTPUT
        raw = borders.quantise(key, cfg.fmt.output, output, getattr(q.points, key))
        return Outcome(output, engine.result(**{key: raw}, **others), borders)
    result = prepared.completed(engine.run(cfg, q.weights, q.job, backend, progress))
    return Outcome(q.output(cfg, getattr(result, q.OUTPUT)), result)


def report(prepared: Prepared, outcome: Outcome, backend: str) -> dict:
    """Everything about a run, as plain data."""
    cfg, q, r = prepared.cfg, prepared.quantised, outcome.result
    data = {
        "backend": backend,
        "config": {key: value for key, value in cfg.as_dict().items() if key != "fmt"},
        "config_hash": cfg.digest,
        "operands": q.borders.as_dict(),
        "operands_saturated": q.saturated,
        **prepared.figures(outcome, backend),
    }
    cycles, phases = r.cycles, r.phases
    if backend == "float":
        data["outputs"] = outcome.borders.as_dict()
        # What the engine would take for a job of these sizes.
        cost = prepared.ENGINE.cycles(cfg, q.weights, q.job, r)
        cycles, phases = cost.total, cost.phases
    else:
        data["saturations"] = {kind.name.lower(): count for kind, count in r.saturations.items()}
        data |= prepared.events(r)
    data["cycles"] = {"source": "rtl" if backend == "rtl" else "cycle model", "total": cycles,
                      **({"phases": phases} if phases else {}), **prepared.pace(cycles)}
    if backend == "cpu":
        data["kernel"] = prepared.ENGINE.no_kernel(cfg) or variant()
    return data
