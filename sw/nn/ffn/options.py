"""What the constructors of the feed-forward layers share: checks by name, seeded initial values."""

import math

import torch
from torch import Tensor, nn

from model.errors import ConfigError

__all__ = ["integer", "real", "boolean", "generator", "uniform_", "linear", "token_width"]


def integer(name: str, value, low: int = 1, high: int | None = None) -> int:
    """``value`` if it is an integer in low..high; else ConfigError."""
    legal = isinstance(value, int) and not isinstance(value, bool)
    if not legal or value < low or (high is not None and value > high):
        bounds = f">= {low}" if high is None else f"in {low}..{high}"
        raise ConfigError(f"{name} is {value!r}, must be an integer {bounds}")
    return value


def real(name: str, value, low: float, high: float = math.inf) -> float:
    """``value`` as a float if it is finite and in [low, high]; else ConfigError."""
    legal = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not legal or not math.isfinite(value) or not low <= value <= high:
        bounds = f">= {low:g}" if high == math.inf else f"in [{low:g}, {high:g}]"
        raise ConfigError(f"{name} is {value!r}, must be a number {bounds}")
    return float(value)


def boolean(name: str, value) -> bool:
    """``value`` if it is True or False; else ConfigError."""
    if not isinstance(value, bool):
        raise ConfigError(f"{name} is {value!r}, must be True or False")
    return value


def generator(seed: int | None) -> torch.Generator | None:
    """A generator of its own for ``seed``; None, torch's global one, without a seed."""
    if seed is None:
        return None
    return torch.Generator().manual_seed(integer("seed", seed, 0, 2**63 - 1))


def uniform_(tensor: Tensor, fan_in: int, source: torch.Generator | None) -> Tensor:
    """Fill with U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as ``nn.Linear`` does its weight."""
    bound = 1 / math.sqrt(fan_in)
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=source)


def linear(inputs: int, outputs: int, source: torch.Generator | None, bias: bool = True):
    """``nn.Linear`` with a weight from ``source`` and a bias of zero."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias)
    uniform_(layer.weight, inputs, source)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def token_width(x: Tensor, d: int) -> Tensor:
    """``x`` (..., d) as (tokens, d); ValueError for another last dimension or no token."""
    if x.dim() == 0 or x.shape[-1] != d or x.numel() == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}, must be (..., {d}) with one token or more")
    return x.reshape(-1, d)
