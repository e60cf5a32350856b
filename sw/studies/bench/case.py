"""A bench of an engine: jobs that run on the golden model, the cycle model and the RTL."""

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sw.sim.engines import Engine

__all__ = ["VERDICTS", "Bench", "Case", "agree", "measure", "verdicts"]

VERDICTS = {True: "yes", False: "NO", None: "-"}
"""What a table says of a comparison; None where none was made."""


@dataclass(frozen=True)
class Case:
    """A job of an engine in a configuration; ``how`` as in :class:`sw.sim.engines.Engine`."""

    name: str
    cfg: Any
    weights: Any
    job: Any
    how: dict = field(default_factory=dict)


class Bench(ABC):
    """The jobs on which an engine is measured, and the tables of what they take."""

    ENGINE: ClassVar[Engine]

    @abstractmethod
    def cases(self, seed: int) -> list[Case]:
        """The jobs, the operands drawn from ``seed``."""

    @abstractmethod
    def title(self, source: str) -> str:
        """The line above the tables; ``source`` is where the cycles come from."""

    @abstractmethod
    def figures(self, case: Case, result) -> dict:
        """What a row says of a job with this result beside :func:`measure`, as plain data."""

    @abstractmethod
    def show(self, rows: list[dict]) -> None:
        """Print the tables, and what their columns mean."""


def measure(bench: Bench, case: Case, simulate: bool) -> dict:
    """One job, its cycles by the RTL or else by the cycle model.

    ``equal`` tells whether the RTL gives the bits of the golden model, ``as_modelled`` whether it takes
    the cycles of the cycle model; both are None where nothing is simulated.
    """
    engine = bench.ENGINE
    expected = engine.run(case.cfg, case.weights, case.job, **case.how)
    result, row = expected, {"name": case.name, "model": expected.cycles, "equal": None,
                             "as_modelled": None, "cycles_per_second": None}
    if simulate:
        result = engine.run(case.cfg, case.weights, case.job, "rtl", sys.stderr.isatty(), **case.how)
        row |= {"equal": not engine.differences(result, expected),
                "as_modelled": result.cycles == expected.cycles, "cycles_per_second": result.rate}
    return row | {"cycles": result.cycles} | bench.figures(case, result)


def agree(rows: list[dict]) -> bool:
    """Whether no row found a difference."""
    return all(row[name] in (True, None) for row in rows for name in ("equal", "as_modelled"))


def verdicts(row: dict | None) -> str:
    """The last two columns of a table; of its heading where there is no ``row``."""
    if row is None:
        words = ("= golden", "= model")
    else:
        words = (VERDICTS[row[name]] for name in ("equal", "as_modelled"))
    return "".join(word.rjust(width) for word, width in zip(words, (10, 9)))
