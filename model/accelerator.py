"""What is compared: accelerators of all kinds, ours and others, and the work that they are given.

An :class:`Accelerator` answers for a workload with cycles, and for a technology with area and energy.
Ours are ``model.cta.accelerator`` and ``model.lookup.accelerator``.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from model.errors import require_range

__all__ = ["Accelerator", "Attention", "FeedForward", "NotMeasured"]

MOST = 1 << 32


class NotMeasured(Exception):
    """A figure that nobody has measured for this accelerator yet; the message says what is missing."""


@dataclass(frozen=True)
class Attention:
    """An attention layer: ``heads`` heads of ``m`` queries on ``n`` keys, all on the same tokens.

    Parameters
    ----------
    n, m : keys and queries; None for ``m`` is self-attention.
    heads : heads of the layer.
    clusters : (k0, k1, k2) to which the tokens are compressed; None is exact attention.
    """

    n: int
    heads: int = 1
    m: int | None = None
    clusters: tuple[int, int, int] | None = None

    def __post_init__(self):
        require_range("n", self.n, 1, MOST)
        require_range("heads", self.heads, 1, MOST)
        require_range("m", self.queries, 1, MOST)
        for name, most, count in zip(("k0", "k1", "k2"), (self.queries, self.n, self.n),
                                     self.clusters or ()):
            require_range(name, count, 1, most)

    @property
    def queries(self) -> int:
        """The number of queries."""
        return self.n if self.m is None else self.m


@dataclass(frozen=True)
class FeedForward:
    """A feed-forward layer on ``tokens`` tokens."""

    tokens: int

    def __post_init__(self):
        require_range("tokens", self.tokens, 1, MOST)


class Accelerator(Protocol):
    """Something that does a kind of work, at a price."""

    def cycles(self, workload: Any) -> int:
        """Clock cycles from the first job of ``workload`` to its last result."""

    def area(self, technology: Any) -> float:
        """Area in square micrometres in ``technology``. Raises :class:`NotMeasured`."""

    def energy(self, workload: Any, technology: Any) -> float:
        """Energy in joules of ``workload`` in ``technology``. Raises :class:`NotMeasured`."""
