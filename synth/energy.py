"""Energy of a job, by block and phase: what toggled in a recorded run, times what a toggle takes.

Every block that was recorded is played to its mapped module (:mod:`synth.replay`); instances that were not
drawn count as those that were. What was not recorded at all, wires and a little logic around the blocks,
counts as the mean of the others by area. A memory takes energy when it reads or writes, as its enables say in
the same run. The clock has no gates: every flip-flop takes its two edges a cycle.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model.memory_area import Macro
from synth.activity import Activity
from synth.area import instances
from synth.buffering import buffers
from synth.energies import clock_energy, net_energies, tree_energy
from synth.mapping import Mapped
from synth.netlist import ONE
from synth.replay import Player
from synth.technology import Technology

__all__ = ["KINDS", "BlockEnergy", "Energy", "energy"]

KINDS = ("logic", "clock", "memory")
"""What energy goes into: nets and cells that toggle, clock pins of flip-flops, accesses of memories."""

FJ, NS_NW = 1e-3, 1e-6
"""pJ of a fJ, and of a nW in a ns."""


@dataclass(frozen=True)
class BlockEnergy:
    """A kind of block: ``instances`` of it, ``recorded`` of them (0 where the rest stands for it), pJ of all
    (phases,) by kind, ``accesses`` of memories (phases,), and bits of outputs that were not as in the
    Verilog, ``wrong`` of ``compared``."""

    name: str
    instances: int
    recorded: int
    pj: dict[str, np.ndarray]
    accesses: np.ndarray
    wrong: int
    compared: int

    @property
    def total(self) -> np.ndarray:
        """pJ (phases,) of all kinds."""
        return sum(self.pj[kind] for kind in KINDS)


@dataclass(frozen=True)
class Energy:
    """A job. ``phases`` are the names, ``cycles`` (phases,) how long each was, ``blocks`` the largest first;
    ``tree`` and ``leakage`` in pJ (phases,) are estimates that no block has. ``parts`` has, by block, which
    share of its instances lies in each child of the top."""

    phases: tuple[str, ...]
    cycles: np.ndarray
    blocks: tuple[BlockEnergy, ...]
    tree: np.ndarray
    leakage: np.ndarray
    parts: dict[str, dict[str, float]]
    job: dict

    @property
    def in_job(self) -> np.ndarray:
        """Which phases are the job itself, without what goes in before and leaves after it."""
        return np.array([name not in ("before", "after") for name in self.phases])

    def kind(self, kind: str) -> np.ndarray:
        """pJ (phases,) of a kind over all blocks."""
        return sum(block.pj[kind] for block in self.blocks)

    @property
    def total(self) -> np.ndarray:
        """pJ (phases,) that toggles, clock pins, clock tree and memories take; leakage is apart."""
        return sum(self.kind(kind) for kind in KINDS) + self.tree

    def shares(self, array: str) -> dict[str, float]:
        """Of the job's energy the shares of memories, of the child ``array`` of the top, and of all else; the
        clock tree goes with the clock pins that it drives."""
        job = self.in_job
        memory = float(self.kind("memory")[job].sum())
        inside = outside = 0.0
        ratio = 1 + float(self.tree[job].sum()) / max(float(self.kind("clock")[job].sum()), 1e-30)
        for block in self.blocks:
            one = float((block.pj["logic"] + block.pj["clock"] * ratio)[job].sum())
            part = self.parts[block.name].get(array, 0.0)
            inside, outside = inside + one * part, outside + one * (1 - part)
        whole = memory + inside + outside
        return {"memory": memory / whole, "array": inside / whole, "auxiliary": outside / whole}


def energy(mapped: dict[str, Mapped], names: list[str], macros: dict[str, Macro], technology: Technology,
           activity: Activity, period: float, show: Callable[[str], None] = lambda _: None,
           check: bool = True) -> Energy:
    """The energy of a recorded run on the modules ``names``, children before parents, the top last, at a
    clock of ``period`` ns. With ``check`` the outputs of the mapped blocks are compared with the record,
    which takes as long again."""
    number = instances(mapped, names)
    phases = len(activity.names)
    cycles = np.bincount(activity.phases, minlength=phases)
    areas = {name: sum(technology.cell_area(cell) * n for cell, n in mapped[name].cells.items())
             for name in names}
    blocks, flip_flops = [], 0
    for at, name in enumerate(names, 1):
        show(f"{name} is played, {at} of {len(names)}")
        one = _block(mapped[name], number[name], macros, technology, activity, cycles, check)
        flip_flops += number[name] * clock_energy(mapped[name].netlist, technology.library)[0]
        blocks.append(one)
    known = sum(areas[block.name] * block.instances for block in blocks if block.recorded)
    mean = sum(block.pj["logic"] for block in blocks if block.recorded) / max(known, 1e-30)
    for block in blocks:
        if not block.recorded:
            block.pj["logic"] = mean * areas[block.name] * block.instances
    tree = technology.energy * tree_energy(flip_flops, technology.library, buffers(technology.library))
    leaks = sum(technology.library.cells[cell].leakage * n * number[name] for name in names
                for cell, n in mapped[name].cells.items()) * technology.leakage
    leaks += sum(technology.sram.energy.leakage * macros[kind].bits * n * number[name] for name in names
                 for kind, n in mapped[name].macros.items())
    blocks.sort(key=lambda block: -float(block.total.sum()))
    return Energy(tuple(activity.names), cycles, tuple(blocks), cycles * tree * FJ,
                  cycles * period * leaks * NS_NW, _parts(mapped, names), activity.about["job"])


def _block(mapped: Mapped, number: int, macros, technology: Technology, activity: Activity,
           cycles: np.ndarray, check: bool) -> BlockEnergy:
    netlist, phases = mapped.netlist, len(cycles)
    _, clock = clock_energy(netlist, technology.library)
    pj = dict.fromkeys(KINDS, np.zeros(phases)) | {"clock": cycles * number * clock * technology.energy * FJ}
    player = Player(netlist, technology.library)
    outputs = [("", port) for port in netlist.outputs]
    places = activity.block(mapped.name, [*player.sources, *outputs])
    drawn = len(next(iter(places.values()))) if places else 0
    if not drawn or not (mapped.cells or mapped.macros):
        # Without cells there is nothing to play, and nothing to guess.
        return BlockEnergy(mapped.name, number, drawn if not mapped.cells else 0, pj, np.zeros(phases), 0, 0)
    played = player.run(activity.values, places, activity.phases, phases,
                        activity.about["start"] if check else None)
    scale = number / drawn
    pj["logic"] = scale * played.toggles @ net_energies(netlist, technology.library) * technology.energy * FJ
    accesses = np.zeros(phases)
    for placed in netlist.cells:
        if placed.kind in macros:
            for pin, bits in placed.pins.items():
                if pin.endswith("_en") and (bits[0] >= 0 or bits[0] == ONE):
                    made = played.highs[:, bits[0]] if bits[0] >= 0 else cycles * drawn
                    accesses = accesses + scale * made
                    pj["memory"] = pj["memory"] + scale * made * FJ * technology.sram.access_fj(
                        macros[placed.kind])
    return BlockEnergy(mapped.name, number, drawn, pj, accesses, sum(played.wrong.values()), played.compared)


def _parts(mapped: dict[str, Mapped], names: list[str]) -> dict[str, dict[str, float]]:
    """By block which share of its instances lies in each child of the top; the top is in none."""
    top, found = names[-1], {name: {} for name in names}
    for child, count in mapped[top].below.items():
        inside = dict.fromkeys(names, 0)
        inside[child] = count
        for name in reversed(names[:-1]):
            for below, times in mapped[name].below.items():
                inside[below] += times * inside[name]
        for name, times in inside.items():
            if times:
                found[name][child] = times
    return {name: {child: times / sum(parts.values()) for child, times in parts.items()}
            for name, parts in found.items()}
