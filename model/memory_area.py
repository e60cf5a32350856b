"""What a memory is and what area it takes: macros by shape, and a model of their size.

Published sizes, the form that is fitted to them and the memories of an engine meet here, because three
rooms need them: ``synth`` for its report, ``model`` for :mod:`model.area`, ``sw`` for accelerators side by
side. There are no macros in the project.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["FAKERAM45", "PORTS", "Macro", "MemoryArea", "fitted"]


@dataclass(frozen=True)
class Macro:
    """A memory of ``depth`` words of ``width`` bits; ``kind`` is the wrapper, ``hl_sram_1rw``,
    ``hl_sram_1r1w`` or ``hl_sram_1rw1r``."""

    kind: str
    depth: int
    width: int

    @property
    def name(self) -> str:
        """As the flow calls it."""
        return f"{self.kind}_{self.depth}x{self.width}"

    @property
    def bits(self) -> int:
        """Bits that it holds."""
        return self.depth * self.width


@dataclass(frozen=True)
class MemoryArea:
    """Area of a memory: ``bit`` µm² a bit, ``column`` a bit of width, ``row`` a word, ``fixed`` a macro,
    for one port; ``ports`` has the factor of each kind, whose cells have more transistors.

    A macro has at most ``widest`` columns and ``deepest`` words; a larger memory is several of them side
    by side and on top of each other.
    """

    bit: float
    column: float
    row: float
    fixed: float
    ports: dict[str, float]
    widest: int = 128
    deepest: int = 2048
    least: float = 0.0
    """µm² a bit that no macro goes below: cells are not smaller."""

    def pieces(self, macro: Macro) -> tuple[int, int, int]:
        """Macros, and the words and bits of each."""
        across, up = -(-macro.width // self.widest), -(-macro.depth // self.deepest)
        return across * up, -(-macro.depth // up), -(-macro.width // across)

    def area(self, macro: Macro) -> float:
        """µm² of a memory."""
        count, depth, width = self.pieces(macro)
        one = self.bit * depth * width + self.column * width + self.row * depth + self.fixed
        return count * max(one, self.least * depth * width) * self.ports[macro.kind]


PORTS = {"hl_sram_1rw": 1.0, "hl_sram_1r1w": 1.5, "hl_sram_1rw1r": 2.0}
"""A cell with a port to write and one to read has 8 transistors for 6, and longer rows; one with two full
ports is twice as large. The macros of OpenRAM for sky130 bear the second out: 24.1 and 25.4 µm² a bit with
two ports, 9.6 with one at twice the size."""

FAKERAM45: tuple[tuple[int, int, float], ...] = (
    (1024, 32, 16406.082), (128, 116, 9280.208), (128, 32, 3295.740), (128, 64, 5479.600),
    (2048, 39, 45478.818), (256, 16, 3155.026), (256, 32, 5065.704), (256, 34, 6476.036),
    (256, 48, 7775.712), (256, 95, 13701.660), (32, 32, 794.542), (512, 64, 17301.438),
    (64, 15, 659.148), (64, 21, 949.354), (64, 25, 1240.624), (64, 28, 1240.624), (64, 32, 1240.624),
    (64, 7, 387.296), (64, 96, 4874.982))
"""Words, bits and µm² of the single-port macros ``fakeram45_*`` of OpenROAD-flow-scripts (platform
nangate45)."""


def fitted(macros=FAKERAM45) -> dict[str, float]:
    """Coefficients of :class:`MemoryArea` by least squares; errors count by the root of the size, so
    that small macros matter."""
    shapes = np.array([[depth * width, width, depth, 1.0] for depth, width, _ in macros])
    area = np.array([area for *_, area in macros])
    scale = 1 / np.sqrt(area)
    found = np.linalg.lstsq(shapes * scale[:, None], area * scale, rcond=None)[0]
    return dict(zip(("bit", "column", "row", "fixed"), map(float, found)))
