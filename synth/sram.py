"""Memories: the macros that a design asks for, and what one costs.

The wrappers ``hl_sram_1rw``, ``hl_sram_1r1w`` and ``hl_sram_1rw1r`` stand for macros of a foundry. There
is none in the project, so their area comes from a model per technology, fitted to macros that were
published with their size. What a figure rests on is said in the technology (:mod:`synth.technology`).
"""

import re
from dataclasses import dataclass, replace

import numpy as np

from model.errors import ConfigError
from synth.cells import Arc, Cell, Pin, Setup, Table

__all__ = ["Macro", "SRAMModel", "SRAMTiming", "macro", "stub", "FAKERAM45", "OPENRAM130"]

KINDS = {"hl_sram_1rw": "one port", "hl_sram_1r1w": "one port to write, one to read",
         "hl_sram_1rw1r": "two ports, one of which writes"}


@dataclass(frozen=True)
class Macro:
    """A memory of ``depth`` words of ``width`` bits; ``kind`` is the wrapper."""

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


def macro(name: str) -> Macro:
    """The macro of a name. Raises ConfigError."""
    match = re.fullmatch(r"(hl_sram_\w+?)_(\d+)x(\d+)", name)
    if not match or match[1] not in KINDS:
        raise ConfigError(f"macro is {name!r}, must be one of {', '.join(KINDS)} with a shape")
    return Macro(match[1], int(match[2]), int(match[3]))


def _ports(macro: Macro) -> tuple[dict[str, int], dict[str, int]]:
    """Its inputs beside the clock, and its outputs, with their widths."""
    address = max(1, (macro.depth - 1).bit_length())
    if macro.kind == "hl_sram_1rw":
        return ({"w_en": 1, "r_en": 1, "addr": address, "w_data": macro.width}, {"r_data": macro.width})
    inputs = {"w_en": 1, "w_addr": address, "w_data": macro.width, "r_en": 1, "r_addr": address}
    outputs = {"r_data": macro.width}
    if macro.kind == "hl_sram_1rw1r":
        inputs |= {"q_en": 1, "q_addr": address}
        outputs["q_data"] = macro.width
    return inputs, outputs


def stub(macro: Macro) -> str:
    """Its ports as Verilog, for a black box."""
    inputs, outputs = _ports(macro)
    ports = [f"{way} {name}" if name.endswith("_en") else f"{way} [{width - 1}:0] {name}"
             for way, some in (("input", inputs), ("output", outputs)) for name, width in some.items()]
    return f"module {macro.name} (input clk, {', '.join(ports)}); endmodule\n"


@dataclass(frozen=True)
class SRAMTiming:
    """When a memory answers: ``access`` ns from the clock to the word that is read, ``root`` ns more for
    the root of the bits of a macro, ``stacked`` where several lie on top of each other; ``setup`` ns of its
    inputs; ``pin`` fF of each. ``slews`` are those of an output in ns at the ``loads`` in fF."""

    access: float
    root: float
    stacked: float
    setup: float
    pin: float
    loads: tuple[float, float]
    slews: tuple[float, float]

    def scaled(self, factor: float) -> "SRAMTiming":
        """With all times in another unit, or at another node."""
        return replace(self, access=self.access * factor, root=self.root * factor,
                       stacked=self.stacked * factor, setup=self.setup * factor,
                       slews=(self.slews[0] * factor, self.slews[1] * factor))


@dataclass(frozen=True)
class SRAMModel:
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
    timing: SRAMTiming | None = None

    def pieces(self, macro: Macro) -> tuple[int, int, int]:
        """Macros, and the words and bits of each."""
        across, up = -(-macro.width // self.widest), -(-macro.depth // self.deepest)
        return across * up, -(-macro.depth // up), -(-macro.width // across)

    def area(self, macro: Macro) -> float:
        """µm² of a memory."""
        count, depth, width = self.pieces(macro)
        one = self.bit * depth * width + self.column * width + self.row * depth + self.fixed
        return count * max(one, self.least * depth * width) * self.ports[macro.kind]


    def access(self, macro: Macro) -> float:
        """ns from the clock to the word that is read."""
        _, depth, width = self.pieces(macro)
        stacked = self.timing.stacked if macro.depth > self.deepest else 0.0
        return self.timing.access + self.timing.root * (depth * width) ** 0.5 + stacked

    def cell(self, macro: Macro) -> Cell:
        """A memory as a cell for timing, with a pin for each bit: ``r_data[3]``."""
        when, (inputs, outputs) = self.timing, _ports(macro)
        pins = {"clk": Pin("clk", "input", clock=True)}
        pins |= {name: Pin(name, "input", when.pin) for name in _bits(inputs)}
        pins |= {name: Pin(name, "output") for name in _bits(outputs)}
        zero = np.zeros(1)
        setup, delay = (Table(zero, zero, np.array([[value]])) for value in (when.setup, self.access(macro)))
        slew = Table(zero, np.array(when.loads), np.array([when.slews]))
        return Cell(macro.name, self.area(macro), 0.0, True, pins,
                    tuple(Arc("clk", name, 0, True, (delay, delay), (slew, slew)) for name in _bits(outputs)),
                    tuple(Setup(name, "clk", (setup, setup)) for name in _bits(inputs)))


def _bits(ports: dict[str, int]) -> list[str]:
    """The pins of ports: a lone enable keeps its name."""
    return [port if port.endswith("_en") else f"{port}[{bit}]" for port, width in ports.items()
            for bit in range(width)]


FAKERAM45: tuple[tuple[int, int, float], ...] = (
    (1024, 32, 16406.082), (128, 116, 9280.208), (128, 32, 3295.740), (128, 64, 5479.600),
    (2048, 39, 45478.818), (256, 16, 3155.026), (256, 32, 5065.704), (256, 34, 6476.036),
    (256, 48, 7775.712), (256, 95, 13701.660), (32, 32, 794.542), (512, 64, 17301.438),
    (64, 15, 659.148), (64, 21, 949.354), (64, 25, 1240.624), (64, 28, 1240.624), (64, 32, 1240.624),
    (64, 7, 387.296), (64, 96, 4874.982))
"""Words, bits and µm² of the single-port macros ``fakeram45_*`` of OpenROAD-flow-scripts (platform
nangate45)."""

FAKERAM45_ACCESS: tuple[tuple[int, int, float], ...] = (
    (64, 7, 0.164), (256, 16, 0.204), (64, 96, 0.234), (256, 95, 0.292), (512, 64, 0.305), (1024, 32, 0.309),
    (2048, 39, 0.435))
"""Words, bits and ns from the clock to the word for macros ``fakeram45_*``. All have a set-up time of 0.05
ns, 5 fF a pin, and slews of 0.009 ns at 5 fF and 0.227 ns at 500 fF."""

OPENRAM130: tuple[tuple[str, int, int, float], ...] = (
    ("1rw", 512, 32, 483.86 * 326.10), ("1rw1r", 256, 32, 493.38 * 400.22),
    ("1rw1r", 1024, 8, 464.82 * 447.14), ("1r1w", 1024, 8, 463.46 * 447.14))
"""Ports, words, bits and µm² of the macros of OpenRAM for sky130 (VLSIDA/sky130_sram_macros)."""


def fitted(macros=FAKERAM45) -> dict[str, float]:
    """Coefficients of :class:`SRAMModel` by least squares; errors count by the root of the size, so
    that small macros matter."""
    shapes = np.array([[depth * width, width, depth, 1.0] for depth, width, _ in macros])
    area = np.array([area for *_, area in macros])
    scale = 1 / np.sqrt(area)
    found = np.linalg.lstsq(shapes * scale[:, None], area * scale, rcond=None)[0]
    return dict(zip(("bit", "column", "row", "fixed"), map(float, found)))


def relative_errors(model: SRAMModel, macros=FAKERAM45) -> list[float]:
    """How far single-port macros are from the model, relative to their size."""
    plain = SRAMModel(model.bit, model.column, model.row, model.fixed, {"one": 1.0}, 10**6, 10**6,
                      model.least)
    return [plain.area(Macro("one", depth, width)) / area - 1 for depth, width, area in macros]
