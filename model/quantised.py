"""A job in raw integers, whatever the engine."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from model.border import Borders

__all__ = ["Quantised"]


@dataclass(frozen=True)
class Quantised:
    """Weights and a job in raw integers, where their binary points are, and what did not fit.

    Parameters
    ----------
    weights, job : of the engine.
    points : fraction bits of every tensor, real = raw / 2**point.
    borders : counts by tensor the elements and those beyond its format.
    """

    OUTPUT: ClassVar[str]
    """The field of a result, and of the points, that is the output."""

    weights: Any
    job: Any
    points: Any
    borders: Borders = field(default_factory=Borders)

    @property
    def saturated(self) -> dict[str, int]:
        """Saturated elements by tensor, where there are any."""
        return self.borders.saturated

    def output(self, cfg, raw) -> np.ndarray:
        """Raw outputs to real numbers."""
        return cfg.fmt.output.real(raw, getattr(self.points, self.OUTPUT))
