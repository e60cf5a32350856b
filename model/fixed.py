"""Fixed-point formats, named roundings, saturation and bit packing, on integers.

Every number of the golden model is a numpy ``int64`` holding the *raw* value of a
:class:`Format`; the real value is ``raw / 2**frac``. Nothing here touches a float except
:meth:`Format.quantise` and :meth:`Format.real`, which stand at the border of the golden world.

The RTL twin of each function is in ``gen/fixed.py`` under the same name.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["Format", "SHIFT", "floor_shift", "round_half_up", "saturate", "wrap", "bits_for_range",
           "clog2", "pack", "unpack"]


def clog2(count: int) -> int:
    """Bits that number ``count`` things: the smallest ``w`` with ``2**w >= count``."""
    if count < 1:
        raise ValueError(f"clog2: count is {count}, must be at least 1")
    return (count - 1).bit_length()


def bits_for_range(low: int, high: int) -> int:
    """Width of the narrowest signed word that holds both ``low`` and ``high``."""
    return max((-low - 1).bit_length() if low < 0 else 0, max(high, 0).bit_length()) + 1


@dataclass(frozen=True)
class Format:
    """A fixed-point format of ``width`` bits in all, ``frac`` of them after the binary point.

    ``frac`` is the nominal binary point. Where a tensor carries a power-of-two scale the point
    moves with the scale; the width never does.
    """

    signed: bool
    width: int
    frac: int = 0

    def __post_init__(self):
        if self.width < 1 + self.signed:
            raise ValueError(f"Format: width is {self.width}, must be at least {1 + self.signed}")

    @property
    def min(self) -> int:
        """Smallest raw value."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        """Largest raw value."""
        return (1 << (self.width - self.signed)) - 1

    def holds(self, raw) -> np.ndarray:
        """True where ``raw`` is a value of this format."""
        raw = np.asarray(raw)
        return (raw >= self.min) & (raw <= self.max)

    def quantise(self, real, frac: int | None = None):
        """Real values to raw, round half up, saturating. Returns ``(raw, saturated count)``.

        The border from float to integer; no golden stage calls it, and software calls it through
        :class:`model.border.Borders`, which keeps the count. Raises ValueError for values that are
        not finite: they have no integer.
        """
        real = np.asarray(real, dtype=np.float64)
        if not np.isfinite(real).all():
            raise ValueError("a value is not finite and has no raw integer")
        # A value too large for a double saturates like any other beyond the format.
        with np.errstate(over="ignore"):
            scaled = np.floor(np.ldexp(real, self.frac if frac is None else frac) + 0.5)
        raw = np.clip(scaled, self.min, self.max)
        return raw.astype(np.int64), int(np.count_nonzero(raw != scaled))

    def real(self, raw, frac: int | None = None) -> np.ndarray:
        """Raw values to float64."""
        return np.ldexp(np.asarray(raw, dtype=np.float64), -(self.frac if frac is None else frac))


SHIFT = Format(False, 5)
"""A right shift that the host sets, 0..31: a field of this width in the words of both engines."""


def floor_shift(raw, shift):
    """``floor(raw / 2**shift)``; a two's complement arithmetic shift right."""
    return np.asarray(raw, dtype=np.int64) >> np.asarray(shift, dtype=np.int64)


def round_half_up(raw, shift):
    """``floor(raw / 2**shift + 1/2)``: ties go towards plus infinity, negative ties included."""
    raw, shift = np.asarray(raw, dtype=np.int64), np.asarray(shift, dtype=np.int64)
    # The half is half of the unit in the last place kept; at shift 0 nothing is dropped.
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    return (raw + half) >> shift


def saturate(raw, fmt: Format):
    """``raw`` held to the range of ``fmt``. Returns ``(value, mask of the values that moved)``."""
    raw = np.asarray(raw, dtype=np.int64)
    value = np.minimum(np.maximum(raw, fmt.min), fmt.max)
    return value, value != raw


def wrap(raw, fmt: Format):
    """The low ``fmt.width`` bits of ``raw`` read as ``fmt``; what an overflowing adder leaves."""
    raw = np.asarray(raw, dtype=np.int64) & ((1 << fmt.width) - 1)
    if fmt.signed:
        raw = np.where(raw > fmt.max, raw - (1 << fmt.width), raw)
    return raw


def pack(raw, fmt: Format, per_word: int, container: int | None = None) -> list[int]:
    """Raw values to words, ``per_word`` fields a word, the first value in the lowest bits.

    Each field is ``container`` bits wide (``fmt.width`` by default), sign-extended if signed.
    The last word is filled with zeros.
    """
    bits = fmt.width if container is None else container
    if bits < fmt.width:
        raise ValueError(f"pack: container is {bits} bits, must be at least {fmt.width}")
    flat = np.asarray(raw, dtype=np.int64).reshape(-1)
    if not fmt.holds(flat).all():
        raise ValueError(f"pack: a value lies outside [{fmt.min}, {fmt.max}]")
    mask = (1 << bits) - 1
    fields = [int(v) & mask for v in flat]
    fields += [0] * (-len(fields) % per_word)
    return [sum(f << (bits * i) for i, f in enumerate(fields[at:at + per_word]))
            for at in range(0, len(fields), per_word)]


def unpack(words, fmt: Format, per_word: int, count: int, container: int | None = None):
    """The inverse of :func:`pack`: the first ``count`` values, as int64."""
    bits = fmt.width if container is None else container
    mask = (1 << bits) - 1
    fields = [(int(word) >> (bits * i)) & mask for word in words for i in range(per_word)]
    if len(fields) < count:
        raise ValueError(f"unpack: {len(fields)} fields, {count} asked for")
    return wrap(np.array(fields[:count], dtype=np.int64), fmt)
