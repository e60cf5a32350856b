"""A space of designs: the dimensions of a TOML file, what is minimised, and what must hold.

    engine = "cta"
    minimise = ["cycles", "area_mm2"]

    [hardware]                              # parameters and constants of the configuration
    b = [4, 8, 16]
    pag = { from = 2, to = 16, powers = true }

    [choices]                               # what is chosen beside it
    point = ["CTA-0", "CTA-1", "exact"]

    [[workloads]]                           # their costs are added
    net = "MiniLM"
    n = 512
    layers = 6

    [constraints]                           # the most that a column may have
    area_mm2 = 3.0
"""

import hashlib
import json
import tomllib
from dataclasses import dataclass
from math import prod
from pathlib import Path

from model.config import shown
from model.technology import TECHNOLOGIES
from sw.explore.engines import ENGINES, FIGURES
from sw.explore.values import expanded, table
from sw.explore.workload import POINTS, read
from sw.io.errors import InputError

__all__ = ["Point", "Space", "digest", "read_space", "space"]

KEYS = ("engine", "minimise", "hardware", "choices", "workloads", "constraints", "clock_mhz")
CHOICES = {"cta": {"point": POINTS, "technology": tuple(TECHNOLOGIES)},
           "lookup": {"technology": tuple(TECHNOLOGIES)}}

Point = dict
"""A design as plain data, from which everything else follows: ``engine``, ``hardware``, ``choices``,
``workloads`` and ``clock_mhz`` (None where nobody says it)."""


def digest(point: Point, stamp: str = "") -> str:
    """The name of a point; with the ``stamp`` of the models, of what they say of it."""
    return hashlib.sha256((stamp + json.dumps(point, sort_keys=True)).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Space:
    """``hardware`` and ``choices`` have the values of each dimension by name; ``minimise`` the columns
    of which the front is made; ``constraints`` the most that a column may have."""

    engine: str
    hardware: dict[str, list]
    choices: dict[str, list]
    workloads: tuple[dict, ...]
    minimise: tuple[str, ...]
    constraints: dict[str, float]
    clock_mhz: float | None = None

    @property
    def dimensions(self) -> dict[str, list]:
        """Values by name, the hardware first; single values are no dimension of a picture."""
        return self.hardware | self.choices

    @property
    def size(self) -> int:
        """Points of the whole grid."""
        return prod(len(values) for values in self.dimensions.values())

    def point(self, chosen: dict) -> Point:
        """The point at these values."""
        return {"engine": self.engine, "hardware": {name: chosen[name] for name in self.hardware},
                "choices": {name: chosen[name] for name in self.choices},
                "workloads": list(self.workloads), "clock_mhz": self.clock_mhz}

    def at(self, number: int) -> Point:
        """Point ``number`` of the grid; the last dimension turns fastest."""
        chosen = {}
        for name, values in reversed(self.dimensions.items()):
            number, place = divmod(number, len(values))
            chosen[name] = values[place]
        return self.point(chosen)


def read_space(path) -> Space:
    """The space of a file; raises InputError in a line that names the key, its value and what is legal."""
    try:
        return space(tomllib.loads(Path(path).read_text("utf-8")))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML: {error}") from None


def space(data: dict) -> Space:
    """The space of parsed TOML."""
    table("space", data, KEYS)
    engine = data.get("engine", "cta")
    if engine not in ENGINES:
        raise InputError(f"engine is {shown(engine)}, must be one of {', '.join(ENGINES)}")
    config = ENGINES[engine].CONFIG
    hardware = {name: expanded(f"hardware.{name}", values) for name, values in table(
        "hardware", data.get("hardware", {}), (*config.PARAMETERS, *config.CONSTANTS)).items()}
    choices = {name: expanded(f"choices.{name}", values) for name, values in table(
        "choices", data.get("choices", {}), CHOICES[engine]).items()}
    for name, values in choices.items():
        for value in values:
            if value not in CHOICES[engine][name]:
                raise InputError(f"choices.{name} is {shown(value)}, must be one of "
                                 f"{', '.join(CHOICES[engine][name])}")
    given = data.get("workloads")
    if not isinstance(given, list) or not given:
        raise InputError("workloads is missing: a space needs at least one [[workloads]]")
    workloads = tuple(read(engine, each, number) for number, each in enumerate(given))
    for name in ENGINES[engine].COMMON:
        if len({workload[name] for workload in workloads}) > 1:
            raise InputError(f"workloads have several {name}, must have one: an engine is built for it")
    minimise = data.get("minimise", ["cycles", "area_mm2"])
    if not isinstance(minimise, list) or not minimise or not set(minimise) <= set(FIGURES):
        raise InputError(f"minimise is {shown(minimise)}, must be of {', '.join(FIGURES)}")
    constraints = table("constraints", data.get("constraints", {}), FIGURES)
    for name, most in (*constraints.items(), ("clock_mhz", data.get("clock_mhz", 1))):
        if isinstance(most, bool) or not isinstance(most, (int, float)) or not 0 <= most < 1e18:
            raise InputError(f"{name} is {shown(most)}, must be a number from 0 on")
    if data.get("clock_mhz", 1) == 0:
        raise InputError("clock_mhz is 0, must be above it")
    return Space(engine, hardware, choices, workloads, tuple(minimise), dict(constraints),
                 data.get("clock_mhz"))
