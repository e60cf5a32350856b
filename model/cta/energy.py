"""Energy of a job of the CTA engine from its sizes alone: what the array does, times what that takes.

Every cycle of a job is one of the operations that the trace of the engine names, or idle; the cycle model has
how many there are of each. ``model/data/energy.json`` has the pJ of a cycle of each, fitted to energies that
were replayed on mapped blocks (``hashlayer energy --fit``), for one configuration. Before wires, without
leakage, without what goes in before the job and leaves after it.
"""

import json
from collections import Counter
from functools import cache
from importlib import resources

from model.accelerator import NotMeasured
from model.cta.config import CTAConfig
from model.cta.cycles import HeadCycles

__all__ = ["energy_data", "job_pj", "operations"]

SCALES = {"45nm": 1.0, "40nm": 40 / 45}
"""Technologies, by what an energy is there of one at 45 nm."""


@cache
def energy_data() -> dict:
    """What was fitted: the configuration's hash, pJ a cycle by operation, and what command made it when."""
    return json.loads(resources.files("model").joinpath("data/energy.json").read_text("utf-8"))


def operations(cost: HeadCycles) -> Counter[str]:
    """Cycles of a job by what the array does in them; "idle" is the rest."""
    found = Counter(cost.slots)
    found["idle"] = cost.total - sum(found.values())
    return found


def job_pj(cfg: CTAConfig, cost: HeadCycles, technology: str) -> float:
    """pJ of a job of so many cycles.

    Raises :class:`model.accelerator.NotMeasured` for a configuration or a technology without figures.
    """
    data = energy_data()
    if technology not in SCALES:
        raise NotMeasured(f"energy of the CTA engine is known in {', '.join(SCALES)} alone")
    if cfg.digest != data["config_hash"]:
        raise NotMeasured(f"energy of the CTA engine is known for configuration {data['config_hash']} alone: "
                          "`hashlayer synth cta --activity FILE` measures others")
    figures = data["pj_a_cycle"]
    return SCALES[technology] * sum(figures[name] * cycles for name, cycles in operations(cost).items()
                                    if cycles)
