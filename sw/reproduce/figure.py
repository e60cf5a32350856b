"""What a reproduced figure is: numbers of the paper and ours, what differs, and the command."""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Entry", "Figure", "Missing"]


@dataclass(frozen=True)
class Entry:
    """One number: ``paper`` is None where the paper has a picture without numbers; ``digits`` is how it is
    written, as a format."""

    what: str
    paper: float | None
    here: float
    digits: str = ".3g"

    @property
    def ratio(self) -> float | None:
        """Ours by the paper's."""
        return None if not self.paper else self.here / self.paper


@dataclass(frozen=True)
class Figure:
    """A figure or table of a paper.

    name : word on the command line.
    title : the paper's figure, and what it shows.
    entries : its numbers.
    differs : what differs in set-up, sentence by sentence.
    holds : whether what the paper says with it holds here, in a sentence.
    command : what gives the numbers without a model, or with more around them.
    draw : draws it on axes of matplotlib, or None.
    """

    name: str
    title: str
    entries: tuple[Entry, ...]
    differs: str
    holds: str
    command: str
    draw: Callable | None = None


@dataclass(frozen=True)
class Missing:
    """A figure that cannot be reproduced here, and why in a line."""

    title: str
    why: str
