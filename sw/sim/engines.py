"""Every engine as one value: what it computes, what it costs, how it is generated and driven.

    engine = ENGINES["cta"]
    q = engine.quantise(cfg, real)
    result = engine.run(cfg, q.weights, q.job, "rtl")
    engine.differences(result, engine.run(cfg, q.weights, q.job))

A further engine is its packages in ``model`` and ``gen``, a driver ``sw.sim.NAME``, a line of
:data:`gen.engines.ENGINES` and a line here. Nothing of the RTL is imported before it is asked for:
the golden model works where there is neither Amaranth nor a compiler.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np

from model.cta import cycles as cta_cycles
from model.cta import head
from model.cta import quantise as cta_quantise
from model.cta.config import CTAConfig
from model.cta.job import HeadResult
from model.lookup import cycles as lookup_cycles
from model.lookup import layer
from model.lookup import quantise as lookup_quantise
from model.lookup.config import LookupConfig
from model.lookup.job import LayerResult
from sw.io.errors import InputError
from sw.kernels import lookup as lookup_kernel
from sw.sim.backends import BACKENDS, tools

__all__ = ["ENGINES", "Engine"]


@dataclass(frozen=True)
class Engine:
    """What belongs to one engine.

    Parameters
    ----------
    name : of its packages ``model.name`` and ``gen.name`` and of its driver ``sw.sim.name``.
    config : class of its configurations.
    quantise : ``(cfg, real, ...)`` to weights and a job in raw integers, with their points.
    golden : ``(cfg, weights, job, **how)`` to a result, which defines every bit.
    cycles : ``(cfg, weights, job, result, **how)`` to ``total`` cycles and ``phases`` that add up to it.
    result : class of the results of golden model and driver.
    compared : fields of a result that the engine lets out.
    kernel : module with a ``refusal(cfg)`` and a ``run(cfg, weights, job)`` that gives the golden model's
        bits faster, or None.

    ``how`` is what golden model, cycle model and driver of this engine take alike: ``reuse`` of CTA.
    """

    name: str
    config: type
    quantise: Callable
    golden: Callable
    cycles: Callable
    result: type
    compared: tuple[str, ...]
    kernel: ModuleType | None = None

    @property
    def generator(self):
        """The :class:`gen.command.Command`: top, words, codes and flags."""
        from gen.engines import ENGINES
        return ENGINES[self.name]

    @property
    def driver(self):
        """The module that drives its RTL; see :mod:`sw.sim.session`."""
        return import_module(f"sw.sim.{self.name}")

    def build(self, cfg, progress: bool = False) -> None:
        """Emit and compile, unless that has been done for this configuration.

        Raises :class:`sw.io.errors.InputError` where a tool is missing or fails.
        """
        with tools():
            self.driver.build(cfg, progress=progress)

    def run(self, cfg, weights, job, backend: str = "golden", progress: bool = False, **how):
        """The result of a job on one of :data:`sw.sim.backends.BACKENDS`.

        Its ``cycles`` and ``phases`` are counted by the RTL, or else by the cycle model.

        Raises :class:`sw.io.errors.InputError` where the engine refuses the job or a tool fails, and
        ValueError for a backend that there is not.
        """
        if backend not in BACKENDS:
            raise ValueError(f"backend is {backend!r}, must be one of {', '.join(BACKENDS)}")
        if backend != "rtl":
            by_kernel = backend == "cpu" and self.no_kernel(cfg) is None
            result = (self.kernel.run if by_kernel else self.golden)(cfg, weights, job, **how)
            cost = self.cycles(cfg, weights, job, result, **how)
            result.cycles, result.phases = cost.total, cost.phases
            return result
        with tools():
            driver = self.driver
            try:
                return driver.run_job(cfg, weights, job, progress=progress, **how)
            except driver.Refused as error:
                raise InputError(str(error)) from None

    def no_kernel(self, cfg) -> str | None:
        """Why the golden model itself runs where a kernel is asked for, or None where there is one."""
        return "there is none for this engine" if self.kernel is None else self.kernel.refusal(cfg)

    def differences(self, one, other) -> list[str]:
        """Names of the fields in which two results differ, of what the engine lets out."""
        return [name for name in self.compared
                if not np.array_equal(getattr(one, name), getattr(other, name))]


ENGINES: dict[str, Engine] = {engine.name: engine for engine in (
    Engine("cta", CTAConfig, cta_quantise.quantise, head.run, cta_cycles.job_cycles, HeadResult,
           ("o", "ct0", "ct1", "ct2", "k0", "k1", "k2", "saturations", "overflow", "zero_rows")),
    Engine("lookup", LookupConfig, lookup_quantise.quantise, layer.run, lookup_cycles.job_cycles, LayerResult,
           ("y", "saturations", "table_bytes"), lookup_kernel))}
