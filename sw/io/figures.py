"""Figures of a report: defined where they can be, null where not, and the events beside them."""

import math

import numpy as np

from model.border import LARGE, Borders

__all__ = ["relative_error", "error_line", "event_lines", "large"]


def relative_error(value, reference) -> float | None:
    """Frobenius norm of the difference over that of the reference, at any size of the two.

    None where it is undefined: against a reference of zeros, or of values that double precision
    cannot hold.
    """
    value, reference = (np.asarray(x, dtype=np.float64) for x in (value, reference))
    size = float(np.abs(reference).max(initial=0.0))
    if size == 0 or not (np.isfinite(value).all() and math.isfinite(size)):
        return None
    # A power of two changes no digit, and squares of what is left neither vanish nor overflow.
    exponent = math.frexp(size)[1]
    with np.errstate(over="ignore"):
        value, reference = np.ldexp(value, -exponent), np.ldexp(reference, -exponent)
        found = float(np.linalg.norm(value - reference) / np.linalg.norm(reference))
    return found if math.isfinite(found) else None


def error_line(name: str, value: float | None) -> str:
    """A relative error for a person."""
    return f"error {name}: " + ("undefined, the reference is zero or beyond double precision"
                                if value is None else f"{value:.4f}")


def _operands(data):
    """Borders of a report by what they belong to."""
    return {key: Borders.from_dict(data[key]) for key in ("operands", "weights", "outputs")
            if key in data}


def event_lines(data: dict) -> list[str]:
    """What saturated, overflowed or vanished, of a report; only what did."""
    lines = [f"{key}, {line}" for key, borders in _operands(data).items()
             for line in borders.lines()]
    moved = [f"{name} {count}" for name, count in data.get("saturations", {}).items() if count]
    if moved:
        lines.append("saturations: " + ", ".join(moved))
    if any(data.get("overflow", {}).values()):
        lines.append("tokens beyond the cluster capacity: " + ", ".join(
            f"{name} {count}" for name, count in data["overflow"].items()))
    if data.get("zero_rows"):
        lines.append(f"zero rows: {data['zero_rows']} compressed queries have no probability left "
                     "and give zeros")
    return lines


def large(data: dict) -> list[str]:
    """One line for each kind of operands of which a large share saturated, and for zero rows."""
    lines = [f"{key}: {borders.warning}" for key, borders in _operands(data).items()
             if borders.warning]
    rows = data.get("k0", 0) * data.get("heads", 1)
    if rows and data.get("zero_rows", 0) / rows >= LARGE:
        lines.append(f"{data['zero_rows']} of {rows} compressed queries have no probability left "
                     "and give zeros")
    return lines
