"""What a rival of the attention engine answers, and the layer that it is asked about.

A rival is a frozen value of one file of this room. It is an :class:`model.accelerator.Accelerator`
that also tells its reads and writes and its multiplications.

Where a number in this room comes from is said by the first word below it:

- *Read*: it stands in a paper that was at hand, or follows from what stands there.
- *Recalled*: the paper that has it was not at hand; the number is from memory of it.
- *Derived*: it was computed here from numbers of the other kinds; a test does it again.
- *Assumed*: it is not published, as far as is known here, and was chosen.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from model.accelerator import Accelerator, Attention, NotMeasured
from model.border import Borders
from model.fixed import Format
from sw.io.errors import InputError
from sw.run.head_file import HeadFile

__all__ = ["Area", "ExactAttention", "Layer", "Rival", "Unpriced", "fixed_point", "interleaved",
           "linear_products"]


@dataclass(frozen=True, eq=False)
class Layer(Attention):
    """An attention layer with what rivals ask of it beyond :class:`model.accelerator.Attention`.

    Parameters
    ----------
    d, dw : dimension of a head, and of a token; 0 for ``dw`` is d, as in the CTA paper.
    q, k, v : queries (heads, m, d), keys and values (heads, n, d), biases in; None where a shape is all
        that is known. Rivals that choose their candidates at run time refuse a layer without q and k.
    sources : tokens and weights of the heads behind them; none where they are not known.
    """

    d: int = 64
    dw: int = 0
    q: np.ndarray | None = None
    k: np.ndarray | None = None
    v: np.ndarray | None = None
    sources: tuple[HeadFile, ...] = ()

    # Arrays are not compared: a layer is equal to itself alone, and may be looked up by it.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __post_init__(self):
        super().__post_init__()
        for name, rows in (("q", self.queries), ("k", self.n), ("v", self.n)):
            value, shape = getattr(self, name), (self.heads, rows, self.d)
            if value is not None and value.shape != shape:
                raise InputError(f"{name} has shape {value.shape}, must be {shape}")

    @property
    def width(self) -> int:
        """Dimension of a token."""
        return self.dw or self.d

    def operands(self, who: str) -> tuple[np.ndarray, np.ndarray]:
        """Queries and keys; raises :class:`sw.io.errors.InputError` where the layer has none."""
        if self.q is None or self.k is None:
            raise InputError(f"{who} chooses its candidates from queries and keys, and the layer has none")
        return self.q, self.k


class Rival(Accelerator, Protocol):
    """An accelerator of attention layers.

    Attributes
    ----------
    name, source : what it is, and where it is described.
    multipliers : as many as multiply two operands in a cycle; those of several bits at a time count
        by their share.
    has_linears : whether its cycles hold the projections to Q, K and V; other rivals leave them to
        another machine.
    """

    name: str
    source: str
    multipliers: int
    has_linears: bool

    def accesses(self, layer: Layer) -> dict[str, float]:
        """Reads and writes of its memories for ``layer``, by what is moved, in rows of d operands.

        Narrower words count by their share of the bits. What a host writes before and reads after, and
        registers inside a unit, are not in.
        """

    def multiplications(self, layer: Layer) -> dict[str, int]:
        """Multiplications for ``layer``, by their use."""

    def error(self, layer: Layer) -> float | None:
        """Relative error of its outputs against exact attention; None where the layer does not tell.

        In double precision and without fine-tuning: the figure is of the approximation alone.
        """


@dataclass(frozen=True)
class Area:
    """Square millimetres in a technology."""

    mm2: float
    technology: str


class Unpriced:
    """Area and energy of a rival of which at most the area is known."""

    AREA: ClassVar[Area | None] = None

    def area(self, technology: str) -> float:
        """Square micrometres; raises :class:`model.accelerator.NotMeasured` for another technology."""
        if self.AREA is None:
            raise NotMeasured(f"area of {self.name}: no figure that could be read here")
        if technology != self.AREA.technology:
            raise NotMeasured(f"area of {self.name} is known in {self.AREA.technology} alone")
        return self.AREA.mm2 * 1e6

    def energy(self, workload: Layer, technology: str) -> float:
        """Raises :class:`model.accelerator.NotMeasured`."""
        raise NotMeasured(f"energy of {self.name}: no figure that could be read here")


class ExactAttention:
    """A rival that approximates nothing."""

    def error(self, layer: Layer) -> float:
        """None at all."""
        return 0.0


def linear_products(layer: Layer) -> int:
    """Multiplications of exact Q, K and V of all heads."""
    return layer.heads * (layer.queries + 2 * layer.n) * layer.width * layer.d


def interleaved(counts: np.ndarray, banks: int) -> np.ndarray:
    """The largest sum of a bank in each row of ``counts`` (m, n), key j in bank j mod ``banks``."""
    short = -counts.shape[1] % banks
    filled = np.pad(counts, ((0, 0), (0, short)))
    return filled.reshape(len(counts), -1, banks).sum(axis=1).max(axis=1)


def fixed_point(values: np.ndarray, bits: int) -> np.ndarray:
    """``values`` as signed integers of so many bits, the largest of them at full scale."""
    fmt, largest = Format(True, bits, 0), float(np.abs(values).max())
    return Borders().quantise("operand", fmt, values * (fmt.max / largest if largest else 0.0))
