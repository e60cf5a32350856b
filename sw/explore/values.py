"""What a TOML file may give for a dimension: a value, a list of values, or a range of integers."""

from model.config import shown
from sw.io.errors import InputError

__all__ = ["MOST", "expanded", "table"]

MOST = 4096
"""Values that one dimension may have."""


def table(name: str, value, known) -> dict:
    """``value`` as a table whose keys are all ``known``; raises InputError that names the key."""
    if not isinstance(value, dict):
        raise InputError(f"{name} is {shown(value)}, must be a table")
    for key in value:
        if key not in known:
            raise InputError(f"{name} key {shown(key)} is unknown, must be one of {', '.join(known)}")
    return value


def expanded(name: str, given) -> list:
    """The values of a dimension: of a list, of ``{from, to, step}`` or ``{from, to, powers = true}``, which
    doubles from value to value, or of one value. Raises InputError."""
    if isinstance(given, dict):
        return _range(name, table(name, given, ("from", "to", "step", "powers")))
    values = given if isinstance(given, list) else [given]
    if not values:
        raise InputError(f"{name} is [], must have a value")
    for value in values:
        if not isinstance(value, (int, str, bool)):
            raise InputError(f"{name} has {shown(value)}, must be integers, words or booleans")
    if len({(type(value), value) for value in values}) < len(values):
        raise InputError(f"{name} is {shown(values)}, must not have a value twice")
    return values


def _range(name: str, given: dict) -> list[int]:
    for key in ("from", "to"):
        if key not in given:
            raise InputError(f"{name} lacks {key!r}: a range has from and to")
    low, high, step, powers = given["from"], given["to"], given.get("step", 1), given.get("powers", False)
    for key, value in (("from", low), ("to", high), ("step", step)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(f"{name}.{key} is {shown(value)}, must be an integer")
    if not isinstance(powers, bool) or powers and "step" in given:
        raise InputError(f"{name}.powers is {shown(powers)}, must be true or false, and without step")
    if not low <= high or step < 1 or powers and low < 1:
        raise InputError(f"{name} is {low}..{high} by {step}, must rise, from 1 on for powers")
    values = []
    while low <= high and len(values) <= MOST:
        values.append(low)
        low = 2 * low if powers else low + step
    if len(values) > MOST:
        raise InputError(f"{name} has more than {MOST} values")
    return values
