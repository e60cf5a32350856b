"""The border from real numbers to raw integers: nothing crosses it uncounted.

Every real tensor of the software becomes raw integers through :meth:`Borders.quantise`, or, on the
torch side, through its twin, which adds to the same :class:`Borders`. Per name of a tensor they
hold how many elements crossed and how many of them lay beyond the format and saturated; a value
that is not finite has no integer and is refused. tests/sw/test_borders.py scans the sources for
conversions that go another way.

The counts go on: into reports of the commands, the record of an engine's call, the members of a
fake layer and the manifest of an export.
"""

import warnings
from dataclasses import dataclass

import numpy as np

__all__ = ["LARGE", "SaturationWarning", "NotFinite", "Crossing", "Borders", "require_finite",
           "refuse", "warn_zero_rows"]

LARGE = 0.01
"""Share of saturated elements from which a tensor is warned of.

Calibration by the largest value saturates nothing, by the 99.9th percentile one element in a
thousand: from one in a hundred on, the tensor is not the one that was calibrated for.
"""


class SaturationWarning(UserWarning):
    """A large share of a tensor lay beyond its fixed-point format and was cut to its ends."""


class NotFinite(ValueError):
    """A tensor with NaN or infinite values, for which there are no integers."""


@dataclass(frozen=True)
class Crossing:
    """Elements of a tensor that became integers, and how many of them ``saturated``."""

    elements: int = 0
    saturated: int = 0

    @property
    def share(self) -> float:
        """Saturated elements of all, 0 of none."""
        return self.saturated / self.elements if self.elements else 0.0

    def __add__(self, other: "Crossing") -> "Crossing":
        return Crossing(self.elements + other.elements, self.saturated + other.saturated)


class Borders(dict):
    """:class:`Crossing` by name of a tensor, in the order in which they crossed."""

    def add(self, name: str, elements: int, saturated: int) -> None:
        """Count a crossing; one under a name that is there already is added to it."""
        self[name] = self.get(name, Crossing()) + Crossing(int(elements), int(saturated))

    def quantise(self, name: str, fmt, real, point=None) -> np.ndarray:
        """``fmt.quantise``, counted under ``name``; raises NotFinite, which names it too."""
        require_finite(name, real)
        raw, saturated = fmt.quantise(real, point)
        self.add(name, raw.size, saturated)
        return raw

    def merge(self, other: "Borders") -> None:
        """Add the counts of ``other``."""
        for name, crossing in other.items():
            self.add(name, crossing.elements, crossing.saturated)

    @property
    def saturated(self) -> dict[str, int]:
        """Saturated elements by name, of the tensors that have any."""
        return {name: crossing.saturated for name, crossing in self.items() if crossing.saturated}

    @property
    def large(self) -> dict[str, Crossing]:
        """The tensors of which a share of :data:`LARGE` or more saturated."""
        return {name: crossing for name, crossing in self.items() if crossing.share >= LARGE}

    def as_dict(self) -> dict[str, dict[str, int]]:
        """As plain data, for reports and manifests."""
        return {name: {"elements": crossing.elements, "saturated": crossing.saturated}
                for name, crossing in self.items()}

    @classmethod
    def from_dict(cls, data: dict) -> "Borders":
        """The inverse of :meth:`as_dict`; raises ValueError for what it cannot have given."""
        found = cls()
        for name, counts in data.items():
            if not isinstance(counts, dict) or set(counts) != {"elements", "saturated"} or not all(
                    type(count) is int for count in counts.values()) or not (
                    0 <= counts["saturated"] <= counts["elements"]):
                raise ValueError(f"borders.{name} is {counts!r}, must be the counts elements and "
                                 "saturated")
            found.add(name, **counts)
        return found

    def lines(self) -> list[str]:
        """One line a tensor that saturated, for a person."""
        return [f"{name}: {crossing.saturated:,} of {crossing.elements:,} elements saturated "
                f"({crossing.share:.2%})" for name, crossing in self.items() if crossing.saturated]

    def warn(self, where: str, stacklevel: int = 2) -> bool:
        """Warn with :class:`SaturationWarning` if a share is large; True if it did."""
        told = self.warning
        if told:
            warnings.warn(f"{where}: {told}", SaturationWarning, stacklevel=stacklevel + 1)
        return bool(told)

    @property
    def warning(self) -> str:
        """What :meth:`warn` says after the place, or "" where no share is large."""
        told = ", ".join(f"{name} {crossing.share:.1%}" for name, crossing in self.large.items())
        return told and (f"beyond the fixed-point format and saturated: {told} of the elements; "
                         "calibrate on data like these")


def warn_zero_rows(where: str, rows: int, of: int, stacklevel: int = 2) -> bool:
    """Warn if a large share of compressed queries has no probability; True if it did."""
    large = bool(of) and rows / of >= LARGE
    if large:
        warnings.warn(f"{where}: {rows / of:.1%} of the queries have no probability left and give "
                      "zeros: scores are beyond what calibration saw", SaturationWarning,
                      stacklevel=stacklevel + 1)
    return large


def require_finite(name: str, real) -> None:
    """Raise NotFinite, with the counts of NaN and of infinite values, unless all are finite."""
    real = np.asarray(real)
    if real.dtype.kind == "f" and not np.isfinite(real).all():
        nan = int(np.isnan(real).sum())
        refuse(name, nan, int(real.size - np.isfinite(real).sum()) - nan, real.size)


def refuse(name: str, nan: int, infinite: int, size: int):
    """Raise the NotFinite of a tensor of ``size`` elements with so many that are not numbers."""
    parts = [text for count, text in ((nan, f"{nan} NaN"), (infinite, f"{infinite} infinite"))
             if count]
    raise NotFinite(f"{name} has {' and '.join(parts)} of {size} values, must be finite")
