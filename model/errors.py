"""What both engines raise for a configuration, a job or an operand that they do not take."""

from enum import IntEnum

import numpy as np

from model.fixed import Format

__all__ = ["ConfigError", "JobRefused", "require_raw", "require_range"]


class ConfigError(ValueError):
    """An illegal configuration; the message names the parameter, its value and the legal range."""


class JobRefused(ValueError):
    """A job that the engine answers with an error code instead of an output."""

    def __init__(self, code: IntEnum, reason: str):
        super().__init__(f"job refused, {code.name}: {reason}")
        self.code = code


def require_raw(name: str, raw, shape: tuple, fmt: Format) -> np.ndarray:
    """``raw`` as an array, after it was held against its shape and its format."""
    raw = np.asarray(raw)
    if raw.dtype.kind not in "iu":
        raise ValueError(f"{name} has dtype {raw.dtype}, must be raw integers")
    if raw.shape != shape:
        raise ValueError(f"{name} has shape {raw.shape}, must be {shape}")
    if raw.size and not (fmt.min <= int(raw.min()) and int(raw.max()) <= fmt.max):
        raise ValueError(f"{name} has values in [{raw.min()}, {raw.max()}], "
                         f"must be in [{fmt.min}, {fmt.max}]")
    return raw


def require_range(name: str, value: int, low: int, high: int) -> None:
    """Raise ValueError unless ``value`` is in ``low..high``."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}, must be in {low}..{high}")
