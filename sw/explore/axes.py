"""Axes of a picture in SVG: from figures to places, and labels at round values."""

import math
from dataclasses import dataclass

__all__ = ["Axis", "axis", "short"]

LOG = 8.0
"""An axis is logarithmic where its values span more than this factor."""


@dataclass(frozen=True)
class Axis:
    """Places ``start`` to ``end`` for values ``low`` to ``high``; ``log`` for the logarithm of them."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def place(self, value: float) -> float:
        """Where a value stands."""
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        share = 0.5 if high == low else (at - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values within the axis."""
        if self.high == self.low:
            return [self.low]
        if self.log:
            found = [base * 10.0 ** power for power in range(math.floor(math.log10(self.low)),
                                                             math.ceil(math.log10(self.high)) + 1)
                     for base in (1, 2, 5)]
            found = [value for value in found if self.low <= value <= self.high]
            return found[::-(-len(found) // most)] if found else [self.low, self.high]
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        step = next(step * base for base in (1, 2, 5, 10) if (self.high - self.low) / (step * base) <= most)
        return [step * at for at in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def axis(values: list[float], start: float, end: float) -> Axis:
    """The axis of some values, which are not empty."""
    low, high = min(values), max(values)
    log = low > 0 and high / low > LOG
    if not log and high > low:
        room = 0.03 * (high - low)
        low, high = low - room, high + room
    return Axis(low, high, start, end, log)


def short(value: float) -> str:
    """A number as a label: three digits, and a letter for thousands and more."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
