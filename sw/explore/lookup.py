"""What a design of the LookupFFN engine costs on feed-forward layers, by the models."""

from functools import lru_cache

from model.accelerator import FeedForward, NotMeasured
from model.lookup.accelerator import LookupAccelerator
from model.lookup.config import LookupConfig
from model.lookup.cost import account
from model.lookup.macros import macros
from sw.io.errors import InputError

__all__ = ["COMMON", "CONFIG", "configuration", "price"]

CONFIG = LookupConfig
COMMON = ("d",)
"""What workloads of one engine agree in."""


def configuration(point: dict) -> LookupConfig:
    """The engine of a point: the dimension of its workloads, and over it what the point says.

    Raises :class:`model.errors.ConfigError`.
    """
    return LookupConfig(**({"d": point["workloads"][0]["d"]} | point["hardware"]))


@lru_cache(maxsize=1 << 14)
def _cycles(cfg: LookupConfig, tokens: int) -> int:
    return LookupAccelerator(cfg).cycles(FeedForward(tokens))


def price(point: dict) -> dict:
    """The figures of a point; what is not known is None, and ``..._why`` says why. Its losses are the cycles
    that the slower of projection and gather does not need.

    Raises ConfigError for an engine that cannot be and InputError for a job that it does not take.
    """
    cfg = configuration(point)
    engine, cycles, bound, moved = LookupAccelerator(cfg), 0, 0, 0
    for workload in point["workloads"]:
        if workload["d"] != cfg.d:
            raise InputError(f"{workload['name']} has d {workload['d']}, the engine {cfg.d}")
        tokens, layers = workload["tokens"], workload["layers"]
        cycles += layers * _cycles(cfg, tokens)
        bound += layers * tokens * account(cfg).bound
        moved += layers * tokens * (2 + cfg.residual) * cfg.d
    found = {"cycles": cycles, "useful": bound / cycles, "losses": {"beyond the bound": 1 - bound / cycles},
             "memory_mbit": 1e-6 * sum(macro.bits * count for macro, count in macros(cfg).items()),
             "elements_a_cycle": moved / cycles, "energy_uj": None, "energy_scaled_uj": None,
             "energy_why": "energy of the LookupFFN engine has not been measured", "error": None,
             "error_why": "the error of a LookupFFN layer needs its training"}
    try:
        return found | {"area_mm2": 1e-6 * engine.area(point["choices"].get("technology", "45nm"))}
    except NotMeasured as error:
        return found | {"area_mm2": None, "area_why": str(error)}
