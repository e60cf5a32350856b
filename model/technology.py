"""Technologies, as far as an area needs them: µm² of a gate, and the sizes of memories.

Cells, delays and energies of the same technologies are in ``synth``, which takes these figures from here.
"""

from dataclasses import dataclass, replace

from model.errors import ConfigError
from model.memory_area import PORTS, MemoryArea, fitted

__all__ = ["NAND2_45", "NAND2_130", "TECHNOLOGIES", "Costs", "costs"]

NAND2_130, NAND2_45 = 3.7536, 0.798
"""µm² of a NAND of two inputs and the least drive: sky130_fd_sc_hd__nand2_1, and NAND2_X1 of the
NanGate 45 nm open cell library."""


@dataclass(frozen=True)
class Costs:
    """What area is made of in a technology: ``gate`` µm² of a NAND of two inputs, and ``memory``."""

    gate: float
    memory: MemoryArea


_MEMORY45 = MemoryArea(**fitted(), ports=PORTS, least=0.5)


def _shrunk(nm: int) -> Costs:
    """45 nm, with all lengths as ``nm`` to 45."""
    factor = (nm / 45) ** 2
    memory = replace(_MEMORY45, **{name: getattr(_MEMORY45, name) * factor
                                   for name in ("bit", "column", "row", "fixed", "least")})
    return Costs(NAND2_45 * factor, memory)


TECHNOLOGIES: dict[str, Costs] = {
    "45nm": _shrunk(45),
    "40nm": _shrunk(40),
    # OpenRAM's macros with two ports are 2.5 to 2.6 times those with one, whichever ports they are.
    "sky130": Costs(NAND2_130, MemoryArea(9.6, 0.0, 0.0, 0.0,
                                          dict.fromkeys(PORTS, 2.55) | {"hl_sram_1rw": 1.0})),
}
"""By name, the default first. What each rests on is in its notes in ``synth.technology``."""


def costs(name: str) -> Costs:
    """The costs of a technology by name. Raises ConfigError."""
    if name not in TECHNOLOGIES:
        raise ConfigError(f"technology is {name!r}, must be one of {', '.join(TECHNOLOGIES)}")
    return TECHNOLOGIES[name]
