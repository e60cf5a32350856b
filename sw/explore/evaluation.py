"""A point to a row: pure, the same anywhere, and a row even where the point fails."""

import hashlib
from functools import cache
from pathlib import Path

from model.errors import ConfigError
from sw.explore.engines import ENGINES
from sw.io.errors import InputError

__all__ = ["Row", "beyond", "command", "evaluate", "evaluate_all", "models_stamp"]

Row = dict
"""What is known of a point: ``status`` "ok" or "failed", ``reason`` (None where it did not fail), its
dimensions, and the figures."""

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("model", "sw/explore", "sw/rivals")
"""What a row follows from besides its point."""


@cache
def models_stamp() -> str:
    """A hash of the models, so that a row of others is not taken for theirs."""
    found = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".json"):
                found.update(path.read_bytes())
    return found.hexdigest()[:16]


def evaluate(point: dict) -> Row:
    """The row of a point."""
    row = {"status": "ok", "reason": None, "engine": point["engine"], **point["hardware"], **point["choices"]}
    try:
        found = ENGINES[point["engine"]].price(point)
    except (ConfigError, InputError) as error:
        return row | {"status": "failed", "reason": " ".join(str(error).split())}
    clock = point["clock_mhz"]
    return row | found | {"time_us": found["cycles"] / clock if clock else None}


def evaluate_all(points: list[dict]) -> list[Row]:
    """The rows of some points, in their order. A fault of ours is a row as well: the run goes on."""
    rows = []
    for point in points:
        try:
            rows.append(evaluate(point))
        except Exception as error:          # noqa: BLE001 - whatever it is, it belongs to its point
            rows.append({"status": "failed", "reason": f"fault in the models, {error!r}",
                         "engine": point["engine"], **point["hardware"], **point["choices"]})
    return rows


def beyond(row: Row, constraints: dict[str, float]) -> dict[str, float]:
    """By constraint how far a row is beyond it, relative; infinite where the figure is not known."""
    found = {}
    for name, most in constraints.items():
        value = row.get(name)
        if value is None:
            found[name] = float("inf")
        elif value > most:
            found[name] = value / most - 1 if most else float("inf")
    return found


def command(row: Row, point: dict) -> str:
    """The command that emits the design of a row."""
    cfg, words = ENGINES[point["engine"]].configuration(point), []
    default = type(cfg)()
    for name in (*cfg.PARAMETERS, *cfg.CONSTANTS):
        value = getattr(cfg, name)
        if str(value) == str(getattr(default, name)) and name not in point["hardware"]:
            continue
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        else:
            words.append(f"--{name} {value}")
    return " ".join(("hashlayer emit", point["engine"], *words))
