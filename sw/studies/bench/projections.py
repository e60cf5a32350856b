"""The output projection of whole layers on compressed rows: ``hashlayer bench layers --projection``.

The heads of a layer share CT0, so that their outputs side by side have k0 distinct rows, and the projection
of these is that of all tokens. It is as many linear jobs as there are heads, all but the first of which
reuse its rows. Weights are loaded behind the jobs; rows come when the last job of the layer before has
read its own, since both lie in the bank of tokens. What counts is the time from the end of one layer to the
end of the next, those loads included.
"""

import sys

import numpy as np

from model.cta import linear_job
from model.cta.config import CTAConfig
from model.cta.linear_job import LinearJob
from model.cta.program import WORDS
from sw.sim.cta import Session, build
from sw.sim.engine import Script
from sw.studies.bench.layers import BETWEEN, Sizes

__all__ = ["measure"]


def _operands(cfg: CTAConfig, size: Sizes, seed: int):
    """The jobs' weights, and rows of full range."""
    rng, f = np.random.default_rng(seed), cfg.fmt
    weights = linear_job.split(cfg, rng.integers(f.weight.min, f.weight.max + 1, (cfg.dw, cfg.dw)),
                               rng.integers(-(1 << 16), 1 << 16, cfg.dw))
    return weights, LinearJob(rng.integers(f.token.min, f.token.max + 1, (size.k0, cfg.dw)), 14)


def _simulated(cfg: CTAConfig, weights, job: LinearJob, layers: int) -> dict:
    """Cycles of the last of some layers on the RTL, and whether all is as the models have it."""
    session = Session(cfg, Script(1))
    for at in range(layers * len(weights)):
        part = at % len(weights)
        session.load(linear_job.weight_loads(cfg, weights[part], at % cfg.sets)
                     + ([] if part else linear_job.token_loads(job)))
        session.linear(weights[part], job, at % cfg.sets, reload=False, reuse=part > 0, wait=False)
    run, results = session.wait().play(build(cfg, progress=sys.stderr.isatty()))
    ends = run.cycles["status"][len(weights) - 1::len(weights)]
    due, equal, modelled = linear_job.run_layer(cfg, weights, job), True, True
    for at, result in enumerate(results):
        want, reuse = due[at % len(weights)], at % len(weights) > 0
        equal &= np.array_equal(result.y, want.y) and result.saturations == want.saturations
        modelled &= result.cycles == linear_job.job_cycles(cfg, len(job.x), reuse=reuse,
                                                           held=result.held).total
    return {"cycles": ends[-1] - ends[-2], "equal_golden": bool(equal), "equal_model": modelled,
            "held": sum(result.held for result in results[-len(weights):]),
            "cycles_per_second": results[0].rate}


def measure(size: Sizes, *, simulate: bool = True, seed: int = 0, **engine) -> dict:
    """A row as :func:`sw.studies.bench.layers.measure` gives it. Its ``table1`` is what all rows would take
    with every multiplier busy; without simulation loads of rows are left out.

    Raises ConfigError where the engine cannot be, :class:`JobRefused` where its program has no linear jobs.
    """
    cfg = size.config(**engine)
    weights, job = _operands(cfg, size, seed)
    linear_job.require_accepted(cfg, job)
    total, useful, losses = BETWEEN * len(weights), 0.0, {"between jobs": BETWEEN * len(weights)}
    for at in range(len(weights)):
        one = linear_job.job_cycles(cfg, size.k0, reuse=at > 0)
        total += one.total
        useful += one.macs["linear"] / (cfg.b * cfg.d)
        losses["products of centroids"] = (losses.get("products of centroids", 0)
                                           + one.macs["compress"] / (cfg.b * cfg.d))
        for cause, cycles in one.losses.items():
            losses[cause] = losses.get(cause, 0) + cycles
    row = {"net": size.net.name, "n": size.n, "point": size.point, "part": "projection",
           "heads": size.net.heads, "b": cfg.b, "lanes": cfg.lanes, "sets": cfg.sets, "sums": cfg.sums,
           "program": WORDS.get(cfg.program.name, cfg.program.name), "products": cfg.products,
           "k0": size.k0, "k1": size.k1, "k2": size.k2, "cycles": total,
           "equal_golden": None, "equal_model": None}
    if simulate:
        row |= _simulated(cfg, weights, job, 2)
        losses["transfers"] = row["cycles"] - total
    all_rows = size.n * cfg.dw * cfg.dw // (cfg.b * cfg.d)
    return row | {"table1": all_rows, "ratio": row["cycles"] / all_rows, "useful": useful / row["cycles"],
                  "losses": {cause: round(cycles) for cause, cycles in sorted(
                      losses.items(), key=lambda item: -item[1]) if round(cycles)}}
