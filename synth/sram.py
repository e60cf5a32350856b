"""Memories: the macros that a design asks for, and what one costs.

The wrappers ``hl_sram_1rw``, ``hl_sram_1r1w`` and ``hl_sram_1rw1r`` stand for macros of a foundry. There
is none in the project, so their area comes from a model per technology (:mod:`model.memory_area`), fitted to
macros that were published with their size; when they answer is here. What a figure rests on is said in the
technology (:mod:`synth.technology`).
"""

import re
from dataclasses import dataclass, replace

import numpy as np

from model.errors import ConfigError
from model.memory_area import FAKERAM45, Macro, MemoryArea
from synth.cells import Arc, Cell, Pin, Setup, Table

__all__ = ["SRAMEnergy", "SRAMModel", "SRAMTiming", "macro", "stub", "OPENRAM130"]

KINDS = {"hl_sram_1rw": "one port", "hl_sram_1r1w": "one port to write, one to read",
         "hl_sram_1rw1r": "two ports, one of which writes"}


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
class SRAMEnergy:
    """What an access takes, to read or to write: ``fixed`` fJ a macro, ``column`` a bit of width, ``row`` a
    word of depth; ``leakage`` in nW a bit."""

    fixed: float
    column: float
    row: float
    leakage: float

    def scaled(self, factor: float) -> "SRAMEnergy":
        """With energies and leakage of another node."""
        return replace(self, fixed=self.fixed * factor, column=self.column * factor, row=self.row * factor,
                       leakage=self.leakage * factor)


@dataclass(frozen=True)
class SRAMModel(MemoryArea):
    """A memory as the flow sees it: its area (:class:`model.memory_area.MemoryArea`), with ``timing`` when it
    answers, and with ``energy`` what that takes."""

    timing: SRAMTiming | None = None
    energy: SRAMEnergy | None = None

    def access_fj(self, macro: Macro) -> float:
        """fJ of reading or writing a word: all macros side by side work, and one of those stacked."""
        _, depth, width = self.pieces(macro)
        across, one = -(-macro.width // self.widest), self.energy
        return across * (one.fixed + one.column * width + one.row * depth)

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


FAKERAM45_ACCESS: tuple[tuple[int, int, float], ...] = (
    (64, 7, 0.164), (256, 16, 0.204), (64, 96, 0.234), (256, 95, 0.292), (512, 64, 0.305), (1024, 32, 0.309),
    (2048, 39, 0.435))
"""Words, bits and ns from the clock to the word for macros ``fakeram45_*``. All have a set-up time of 0.05
ns, 5 fF a pin, and slews of 0.009 ns at 5 fF and 0.227 ns at 500 fF."""

FAKERAM45_ENERGY: tuple[tuple[int, int, float], ...] = (
    (64, 7, 1126.12), (64, 32, 1696.62), (64, 96, 2986.13), (256, 16, 2355.0), (512, 64, 5300.43),
    (1024, 32, 6056.43))
"""Words, bits and fJ of an access of the macros ``fakeram45`` that OpenSTA ships for its tests
(test/nangate45): the ``internal_power`` of a clock edge."""

FAKERAM45_LEAKAGE: tuple[tuple[int, float], ...] = ((4096, 432.35e3), (32768, 823.237e3), (32768, 1607.08e3))
"""Bits and nW of three of them, 256 × 16, 512 × 64 and 1024 × 32: 25 to 106 nW a bit."""

OPENRAM130: tuple[tuple[str, int, int, float], ...] = (
    ("1rw", 512, 32, 483.86 * 326.10), ("1rw1r", 256, 32, 493.38 * 400.22),
    ("1rw1r", 1024, 8, 464.82 * 447.14), ("1r1w", 1024, 8, 463.46 * 447.14))
"""Ports, words, bits and µm² of the macros of OpenRAM for sky130 (VLSIDA/sky130_sram_macros)."""


def relative_errors(model: MemoryArea, macros=FAKERAM45) -> list[float]:
    """How far single-port macros are from the model, relative to their size."""
    plain = MemoryArea(model.bit, model.column, model.row, model.fixed, {"one": 1.0}, 10**6, 10**6,
                      model.least)
    return [plain.area(Macro("one", depth, width)) / area - 1 for depth, width, area in macros]
