"""Torch twins of :mod:`model.fixed`: the same integers, with straight-through gradients.

A tensor of raw values is float64 and holds integers, because only floating-point tensors carry
gradients. Additions, products and shifts of integers below 2**52 are exact in it, and no sum of
an engine's datapath is larger (:func:`require_exact`).

The gradient of each rounding is that of the scaling it approximates: 2**-shift for the shifts,
2**point for :func:`quantise`. Saturation passes the gradient where it leaves the value alone, and
none where it does not.
"""

import torch
from torch import Tensor

from model.border import Borders, refuse
from model.errors import ConfigError
from model.fixed import Format

__all__ = ["floor_shift", "round_half_up", "saturate", "wrap", "quantise", "counted", "real",
           "power", "bit_length", "require_exact", "EXACT_BITS"]

EXACT_BITS = 52
"""Signed words of up to so many bits and a sign take any of the functions here exactly."""

_REACH = 64


def power(exponent) -> Tensor | float:
    """``2.0**exponent``, exact; ``exponent`` is an int, or a tensor of integers in -64..64."""
    if not isinstance(exponent, Tensor):
        return 2.0 ** int(exponent)
    # A table: torch promises no exact powers.
    table = torch.tensor([2.0**e for e in range(-_REACH, _REACH + 1)], dtype=torch.float64,
                         device=exponent.device)
    return table[exponent.long() + _REACH]


class _Floor(torch.autograd.Function):
    """floor(x * scale + offset), with the gradient of x * scale."""

    @staticmethod
    def forward(ctx, x, scale, offset):
        tensor = isinstance(scale, Tensor)
        ctx.save_for_backward(*([scale] if tensor else []))
        ctx.scale, ctx.shape = None if tensor else scale, x.shape
        return torch.floor(x * scale + offset)

    @staticmethod
    def backward(ctx, grad):
        scale = ctx.saved_tensors[0] if ctx.scale is None else ctx.scale
        return (grad * scale).sum_to_size(ctx.shape), None, None


class _Held(torch.autograd.Function):
    """A value computed elsewhere, with the gradient of ``x``."""

    @staticmethod
    def forward(ctx, x, value):
        return value

    @staticmethod
    def backward(ctx, grad):
        return grad, None


def floor_shift(raw: Tensor, shift) -> Tensor:
    """``floor(raw / 2**shift)``; ``shift`` is an int or a tensor of integers that broadcasts."""
    return _Floor.apply(raw, power(-shift), 0.0)


def round_half_up(raw: Tensor, shift) -> Tensor:
    """``floor(raw / 2**shift + 1/2)``: ties go towards plus infinity, negative ties included."""
    return _Floor.apply(raw, power(-shift), 0.5)


def saturate(raw: Tensor, fmt: Format) -> tuple[Tensor, Tensor]:
    """``raw`` held to the range of ``fmt``. Returns ``(value, mask of the values that moved)``."""
    value = torch.clamp(raw, fmt.min, fmt.max)
    return value, value.detach() != raw.detach()


def wrap(raw: Tensor, fmt: Format) -> Tensor:
    """The low ``fmt.width`` bits of ``raw`` read as ``fmt``; the gradient is 1 everywhere."""
    size = 2.0**fmt.width
    value = raw.detach() - fmt.min
    return _Held.apply(raw, value - torch.floor(value / size) * size + fmt.min)


def quantise(value: Tensor, fmt: Format, point=None) -> tuple[Tensor, Tensor]:
    """Real values to raw, round half up, saturating. Returns ``(raw, mask of the saturated)``.

    ``point`` is the number of fraction bits (``fmt.frac`` by default), an int or a tensor of
    integers that broadcasts. ``value`` may have any floating dtype; the result is float64.
    """
    point = fmt.frac if point is None else point
    return saturate(_Floor.apply(value.double(), power(point), 0.5), fmt)


def counted(borders: Borders, name: str, value: Tensor, fmt: Format, point=None,
            valid: Tensor | None = None) -> Tensor:
    """:func:`quantise`, counted in ``borders`` under ``name``: the border of the torch side.

    Elements where ``valid``, a mask of the leading axes, is False are padding: they become zeros
    whatever they are, and do not count. Raises :class:`model.border.NotFinite` for NaN and
    infinite values among the rest.
    """
    if valid is not None:
        value = value.masked_fill(~valid[..., None], 0)
    held = value.detach()
    if not torch.isfinite(held).all():
        refuse(name, int(held.isnan().sum()), int(held.isinf().sum()), held.numel())
    raw, moved = quantise(value, fmt, point)
    borders.add(name, moved.numel() if valid is None else valid.sum() * value.shape[-1],
                moved.sum())
    return raw


def real(raw: Tensor, fmt: Format, point=None) -> Tensor:
    """Raw values to real ones, float64; ``point`` as for :func:`quantise`."""
    return raw * power(-(fmt.frac if point is None else point))


def bit_length(raw: Tensor) -> Tensor:
    """Bits of non-negative integers, as int64: 0 of 0, 1 of 1, 2 of 2 and 3."""
    return torch.frexp(raw.detach())[1].long()


def require_exact(**formats: Format) -> None:
    """Raise ConfigError if a word is too wide for float64 to hold every value of it."""
    for name, fmt in formats.items():
        if fmt.width > EXACT_BITS + 1:
            raise ConfigError(f"{name}.width is {fmt.width}, must be at most {EXACT_BITS + 1} for "
                              "the torch twin, which computes in float64")
