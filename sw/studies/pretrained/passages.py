"""Passages of equal length from a text file: for calibration, for training, for a test.

The three come from different documents, so that nothing that is tested was seen before.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sw.io.errors import InputError

__all__ = ["Passages", "split"]

PARTS = 60
"""Documents that a text without a mark of its documents counts as: equal stretches of tokens."""


@dataclass(frozen=True)
class Passages:
    """``calibration`` and ``test`` (P, n), int64 token numbers, special tokens included.

    starts : (P,) bool, which test passages begin a document. training : tokens of the training
    documents, one after the other. n : tokens a passage. before, after : special tokens around it.
    """

    calibration: Tensor
    test: Tensor
    starts: Tensor
    training: tuple[int, ...]
    n: int
    before: tuple[int, ...]
    after: tuple[int, ...]

    def sample(self, batch: int, generator: torch.Generator) -> Tensor:
        """Training passages (batch, n) from random places."""
        room = self.n - len(self.before) - len(self.after)
        places = torch.randint(len(self.training) - room + 1, (batch,), generator=generator)
        return torch.tensor([[*self.before, *self.training[at:at + room], *self.after]
                             for at in places.tolist()])

    def __str__(self) -> str:
        return (f"{len(self.calibration)} passages for calibration, {len(self.test)} for the test "
                f"({int(self.starts.sum())} of them at the start of a document), "
                f"{len(self.training):,} tokens for training; {self.n} tokens a passage")


def split(path: str | Path, tokens: Callable[[str], Sequence[int]], n: int, *,
          before: Sequence[int] = (), after: Sequence[int] = (), documents: str | None = None,
          per_document: int = 4) -> Passages:
    """Cut a text file into :class:`Passages`.

    ``documents`` is a regular expression for the line that begins a document; without it the text
    counts as PARTS equal stretches. Of the documents that fill a passage, numbered from 0, those
    with number 2 modulo 5 are for the test and those with 0 modulo 10 for calibration, the first
    ``per_document`` passages of each; all others are for training. ``tokens`` turns text into
    token numbers, without the special ones. Raises InputError for a text too short for that.
    """
    room = n - len(before) - len(after)
    if room < 1:
        raise InputError(f"tokens is {n}, must be above {len(before) + len(after)}")
    if per_document < 1:
        raise InputError(f"per_document is {per_document}, must be at least 1")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text") from None
    if documents is None:
        whole = list(tokens(text))
        size = max(1, -(-len(whole) // PARTS))
        found = [whole[i:i + size] for i in range(0, len(whole), size)]
    else:
        try:
            starts = [m.start() for m in re.finditer(documents, text, flags=re.MULTILINE)]
        except re.error as error:
            raise InputError(f"documents is {documents!r}, no regular expression: "
                             f"{error}") from None
        ends = [*starts[1:], len(text)]
        found = [list(tokens(text[a:b])) for a, b in zip(starts, ends)]
    found = [d for d in found if len(d) >= room]
    if len(found) < 5:
        raise InputError(f"{path} has {len(found)} documents of {room} tokens or more, must have "
                         "at least 5")

    def cut(those):
        return [([*before, *d[at:at + room], *after], at == 0) for d in those
                for at in range(0, min(per_document, len(d) // room) * room, room)]

    test = cut(d for i, d in enumerate(found) if i % 5 == 2)
    calibration = cut(d for i, d in enumerate(found) if i % 10 == 0)
    training = [t for i, d in enumerate(found) if i % 5 != 2 and i % 10 for t in d]
    return Passages(torch.tensor([p for p, _ in calibration]), torch.tensor([p for p, _ in test]),
                    torch.tensor([first for _, first in test]), tuple(training), n,
                    tuple(before), tuple(after))
