"""Areas by block, from mapped modules: instances, cells, flip-flops, memories."""

from dataclasses import dataclass

from model.memory_area import Macro
from synth.mapping import Mapped
from synth.technology import Technology

__all__ = ["Area", "Block", "Memory", "area", "instances"]


@dataclass(frozen=True)
class Block:
    """A module: ``instances`` of it in the design; cells, flip-flops and µm² of one, without what is
    below it."""

    name: str
    instances: int
    cells: int
    flip_flops: int
    um2: float

    @property
    def total_um2(self) -> float:
        """µm² of all its instances."""
        return self.um2 * self.instances


@dataclass(frozen=True)
class Memory:
    """A memory of one shape in one module: ``count`` in the design, µm² of one."""

    macro: Macro
    block: str
    count: int
    um2: float

    @property
    def bits(self) -> int:
        """Bits of all of them."""
        return self.macro.bits * self.count

    @property
    def total_um2(self) -> float:
        """µm² of all of them."""
        return self.um2 * self.count


@dataclass(frozen=True)
class Area:
    """Areas of a design in a technology, the largest first."""

    technology: Technology
    blocks: tuple[Block, ...]
    memories: tuple[Memory, ...]

    @property
    def logic_um2(self) -> float:
        """µm² of all cells, side by side: no rows are left free and nothing is routed."""
        return sum(block.total_um2 for block in self.blocks)

    @property
    def sram_um2(self) -> float:
        """µm² of all memories."""
        return sum(memory.total_um2 for memory in self.memories)

    @property
    def sram_bits(self) -> int:
        """Bits of all memories."""
        return sum(memory.bits for memory in self.memories)

    @property
    def chip_um2(self) -> float:
        """µm² of cells and memories."""
        return self.logic_um2 + self.sram_um2


def instances(mapped: dict[str, Mapped], names: list[str]) -> dict[str, int]:
    """How often each module stands in the design whose modules are ``names``, the top last."""
    found = dict.fromkeys(names, 0)
    found[names[-1]] = 1
    for name in reversed(names):
        for child, count in mapped[name].below.items():
            found[child] += count * found[name]
    return found


def area(mapped: dict[str, Mapped], names: list[str], macros: dict[str, Macro],
         technology: Technology) -> Area:
    """The areas of a design whose modules are ``names``, children before parents, the top last."""
    number = instances(mapped, names)
    blocks, memories = [], []
    for name in names:
        cells = mapped[name].cells
        blocks.append(Block(
            name, number[name], sum(cells.values()),
            sum(n for cell, n in cells.items() if technology.library.cells[cell].sequential),
            sum(technology.cell_area(cell) * n for cell, n in cells.items())))
        memories += [Memory(macros[kind], name, count * number[name], technology.sram.area(macros[kind]))
                     for kind, count in mapped[name].macros.items()]
    return Area(technology, tuple(sorted(blocks, key=lambda block: -block.total_um2)),
                tuple(sorted(memories, key=lambda memory: -memory.total_um2)))
