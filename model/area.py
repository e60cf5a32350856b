"""Area of an engine from its configuration alone: gates linear in its natural counts, memories by shape.

``synth.fit`` maps many shapes of an engine to cells and fits, for each block, the gates that belong to each
of its counts; the result is ``model/data/area.json``, which this file reads. A gate is the area of a NAND
of two inputs, so one set of figures serves all technologies. What counts a block has is said beside the
engine, in ``model.cta.area`` and ``model.lookup.area``.

This is the price of an engine and not what it does, as its cycles are: no golden stage comes here.
"""

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib import resources

from model.accelerator import NotMeasured
from model.memory_area import Macro
from model.technology import costs

__all__ = ["Terms", "area_um2", "fit_data", "gates", "require_fitted"]

Terms = Mapping[str, Mapping[str, float]]
"""By block its counts: ``{"pe": {"pe": 512, "pe*acc": 16384}}``. What is in no block of its own is "rest"."""


@cache
def fit_data() -> dict:
    """What was fitted, by engine: ``gates`` by block and count, ``formats`` that it holds for, and what
    command made it when."""
    return json.loads(resources.files("model").joinpath("data/area.json").read_text("utf-8"))


def require_fitted(engine: str, title: str, cfg) -> None:
    """Raise :class:`model.accelerator.NotMeasured` for formats and constants that the fit has not seen;
    ``title`` is what the engine is called in words."""
    seen = type(cfg)()
    if cfg.fmt != seen.fmt or any(getattr(cfg, name) != getattr(seen, name) for name in cfg.CONSTANTS):
        raise NotMeasured(f"area of the {title} engine is fitted to the default formats and constants "
                          f"alone: `hashlayer synth {engine} --config FILE` measures others")


def gates(engine: str, terms: Terms) -> dict[str, float]:
    """Gates of each block of an engine whose counts are ``terms``. Raises
    :class:`model.accelerator.NotMeasured` for counts that were not fitted."""
    found = fit_data().get(engine, {}).get("gates", {})
    for block, counts in terms.items():
        for name in counts:
            if name not in found.get(block, {}):
                raise NotMeasured(f"area of {block} of {engine} was not fitted to {name}: "
                                  "`hashlayer area --fit` does so")
    return {block: sum(found[block][name] * count for name, count in counts.items())
            for block, counts in terms.items()}


def area_um2(engine: str, terms: Terms, memories: Counter[Macro], technology: str) -> float:
    """µm² of an engine in a technology by name: cells and memories side by side.

    Raises ConfigError for a technology that there is not, and :class:`model.accelerator.NotMeasured`.
    """
    cost = costs(technology)
    return (cost.gate * sum(gates(engine, terms).values())
            + sum(cost.memory.area(macro) * count for macro, count in memories.items()))
