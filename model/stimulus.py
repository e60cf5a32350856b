"""Random raw operands: what the stimuli of both engines are made of."""

import math

import numpy as np

from model.fixed import SHIFT, Format

__all__ = ["gaussian", "least_shift"]


def gaussian(rng: np.random.Generator, size, sigma: float, fmt: Format) -> np.ndarray:
    """Values of ``fmt`` with standard deviation ``sigma``, in units of its last place."""
    return np.clip(np.rint(rng.normal(0, sigma, size)), fmt.min, fmt.max).astype(np.int64)


def least_shift(peak: float, limit: float) -> int:
    """Least shift of the host that takes ``peak`` to at most ``limit``."""
    return int(np.clip(math.ceil(math.log2(max(peak, 1) / limit)), SHIFT.min, SHIFT.max))
