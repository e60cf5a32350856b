"""One LookupFFN layer: from real operands to a job of the engine, and what a report says of it."""

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import numpy as np

from model.errors import JobRefused
from model.lookup import bh4, gather
from model.lookup import hash as hashing
from model.lookup import layer as golden
from model.lookup.config import LookupConfig
from model.lookup.cost import account, vanilla_flop
from model.lookup.job import LayerResult, Order
from model.lookup.quantise import Quantised, quantise
from model.lookup.reference import Layer, codes, forward, project
from model.lookup.timing import TABLE_LATENCY
from sw.io.errors import InputError
from sw.io.figures import relative_error
from sw.run.pipeline import Outcome, Prepared
from sw.sim.engines import ENGINES

__all__ = ["PreparedLayer", "cost", "prepare"]


@dataclass(frozen=True)
class PreparedLayer(Prepared):
    """A layer on its tokens in real numbers, and in raw integers."""

    ENGINE: ClassVar = ENGINES["lookup"]

    cfg: LookupConfig
    real: Layer
    quantised: Quantised

    def in_double(self) -> tuple[np.ndarray, dict]:
        """The layer in double precision."""
        cfg, real = self.cfg, self.real
        return forward(cfg, real), {
            "codes": codes(cfg, project(cfg, real))[:, :, 0],
            "table_bytes": gather.table_bytes(cfg, len(real.x), self.quantised.job.order)}

    def taken(self) -> np.ndarray:
        """All rows (t, h, entries) that the integers take."""
        job = self.quantised.job
        z, _ = bh4.project(self.cfg, job.x, self.quantised.weights, job.gain, job.skip, job.shift_skip)
        return hashing.codes(self.cfg, z)

    def completed(self, result: LayerResult) -> LayerResult:
        """With the codes, which the RTL keeps to itself."""
        return result if result.codes is not None else replace(result, codes=self.taken()[:, :, 0])

    def pace(self, cycles: int) -> dict:
        """By token, and what the table memory was."""
        return {"per_token": cycles / len(self.real.x), "table_latency": TABLE_LATENCY}

    def figures(self, outcome: Outcome, backend: str) -> dict:
        """Errors, rows that are not those of double precision, and costs."""
        cfg, real, r = self.cfg, self.real, outcome.result
        chosen = codes(cfg, project(cfg, real))
        forced = forward(cfg, real, chosen if backend == "float" else self.taken())
        return {
            "order": self.quantised.job.order.name.lower(),
            "tokens": len(real.x), "skip": [float(real.skip), float(real.gain)],
            "error": {"against float, rows forced": relative_error(outcome.output, forced),
                      "against float": relative_error(outcome.output, forward(cfg, real))},
            "wrong_rows": float(np.mean(r.codes != chosen[:, :, 0])),
            "points": {"y": self.quantised.points.y},
            "table_bytes": r.table_bytes, "cost": cost(cfg)}


def prepare(cfg: LookupConfig, real: Layer, order: Order = Order.TOKEN_MAJOR) -> PreparedLayer:
    """Quantisation. Raises InputError for what the engine does not take."""
    try:
        golden.require_order(cfg, order)
    except JobRefused as error:
        raise InputError(str(error)) from None
    if len(real.x) > golden.TOKENS_MAX:
        raise InputError(f"there are {len(real.x)} tokens, must be at most {golden.TOKENS_MAX}")
    reach = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for name, value in (("z", project(cfg, real)), ("y", forward(cfg, real))):
            reach[name] = np.abs(value).max()
            if not np.isfinite(reach[name]):
                raise InputError(f"{name} is not finite in double precision")
    try:
        quantised = quantise(cfg, real, order)
        golden.validate(cfg, quantised.weights, quantised.job)
    except (ValueError, OverflowError) as error:
        raise InputError(f"the layer cannot be represented, z reaches {reach['z']:.3g} and y "
                         f"{reach['y']:.3g}: {error}") from None
    return PreparedLayer(cfg, real, quantised)


def cost(cfg: LookupConfig) -> dict:
    """What the layer costs a token where nothing else is said, as plain data."""
    costs = account(cfg)
    return {"flop": costs.flop, "vanilla_flop": vanilla_flop(cfg.d), **asdict(costs),
            "bound": costs.bound, "worthwhile_batch": costs.worthwhile_batch}
