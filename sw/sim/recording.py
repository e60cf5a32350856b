"""What stands at the ports of blocks while an engine works: recorded in its Verilog, cycle by cycle.

A module around the engine looks into it: of every kind of block some instances are drawn, and their ports,
the outputs of the blocks and memories in them, leave by ports that the harness writes to a file in every
cycle. ``synth`` plays them to the mapped block again, to count what toggles.

    recorder = build("cta", cfg)
    run_jobs(cfg, [(weights, job)], engine=recorder)
    recorder.recording.values, recorder.recording.signals
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gen.emit import emit_all
from gen.engines import ENGINES
from gen.manifest import manifest
from sw.sim import verilator
from sw.sim.engine import HARNESS, Run, Simulator, harness_ports

__all__ = ["INSTANCES", "WIDEST", "Recorder", "Recording", "Signal", "build"]

INSTANCES = 16
"""Instances of a kind of block that are recorded at most, drawn at random with one seed."""

MODULE = re.compile(r"^module (\w+)\b(.*?)^endmodule", re.M | re.S)
PORT = re.compile(r"^ +(input|output) +(?:wire|reg) +(?:\[(\d+):0\] +)?(\\?\w+)", re.M)
WIDEST = 9_000
"""Bits of a kind of block that are recorded at most: of a wide one fewer instances, of one beyond it none."""

WORK = re.compile(r"^  always|^  assign .* = .*([&|^~?+*<>!-]|==)", re.M)
"""What makes a module more than wires around others: a flip-flop, or an operator."""
INSTANCE = re.compile(r"^  (\w+) (?:#\((.*?)\) )?(\\?\w+) *\(", re.M | re.S)


@dataclass(frozen=True)
class Signal:
    """A port in the record: ``width`` bits of the instance at ``path`` (names after each other, "" is the
    top), in ``size`` bytes from ``offset`` on in every row, lowest first."""

    path: tuple[str, ...]
    port: str
    width: int
    offset: int
    size: int


@dataclass(frozen=True)
class Recording:
    """A run. ``values`` has a row of bytes a cycle, ``signals`` say where what is in it; ``blocks`` has the
    kinds of block with the paths of the instances that were drawn, ``run`` what the harness saw."""

    values: np.ndarray
    signals: tuple[Signal, ...]
    blocks: dict[str, tuple[tuple[str, ...], ...]]
    run: Run


@dataclass(frozen=True)
class Recorder(Simulator):
    """A compiled engine that records; after a run, ``recording`` has it."""

    signals: tuple[Signal, ...] = ()
    blocks: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    _last: list = field(default_factory=list)

    @property
    def recording(self) -> Recording:
        """That of the last run."""
        return self._last[-1]

    def _read(self, result: Path, status: int, said: str) -> Run:
        run = super()._read(result, status, said)
        row = max((signal.offset + signal.size for signal in self.signals), default=1)
        values = np.fromfile(result.with_name("recorded"), np.uint8)
        self._last[:] = [Recording(values[:len(values) // row * row].reshape(-1, row), self.signals,
                                   self.blocks, run)]
        return run


def build(name: str, cfg, instances: int = INSTANCES, progress: bool = False) -> Recorder:
    """The engine ``name`` in a configuration, compiled to record ``instances`` of each kind of block."""
    emitted = emit_all(ENGINES[name].component(cfg))
    design = _Design(emitted.text, emitted.name)
    blocks = design.drawn(instances)
    signals = design.signals(blocks)
    described = manifest(emitted.component)
    binary = verilator.build(
        f"{name}-recorder", emitted.text + design.top_of(signals), "recorder", sources=[HARNESS], opt="-O1",
        files={"streams.inc": harness_ports(described),
               "recorded.inc": "".join(f"RECORD(recorded_{at})\n" for at in range(len(signals)))})
    return Recorder(binary, described, signals, blocks)


class _Design:
    """The modules of a Verilog text, as far as ports and instances go."""

    def __init__(self, text: str, top: str):
        core = text.partition("`ifndef HASHLAYER_SRAM_EXTERNAL")[0]
        self.top, self.ports, self.children, self.heads, self.idle = top, {}, {}, {}, set()
        for name, body in MODULE.findall(core):
            head, _, inside = body.partition("\n);")
            self.heads[name] = head
            if not WORK.search(inside):
                self.idle.add(name)
            self.ports[name] = [(way, int(high or 0) + 1, port.removeprefix("\\"))
                                for way, high, port in PORT.findall(head)]
            self.children[name] = [(kind, parameters, at.removeprefix("\\"))
                                   for kind, parameters, at in INSTANCE.findall(inside)]
        for name, found in self.children.items():
            self.children[name] = [child for child in found
                                   if child[0] in self.ports or child[0].startswith("hl_sram_")]

    def paths(self) -> dict[str, list[tuple[str, ...]]]:
        """All instances of each module."""
        found: dict[str, list[tuple[str, ...]]] = {}

        def visit(name: str, path: tuple[str, ...]):
            found.setdefault(name, []).append(path)
            for kind, _, at in self.children[name]:
                if kind in self.ports:
                    visit(kind, (*path, at))
        visit(self.top, ())
        return found

    def outputs(self, kind: str, parameters: str) -> list[tuple[int, str]]:
        """Width and name of the outputs of a child, which may be a memory."""
        if kind in self.ports:
            return [(width, port) for way, width, port in self.ports[kind] if way == "output"]
        width = int(re.search(r"\.WIDTH\((?:\d+'d)?(\d+)\)", parameters)[1])
        return [(width, port) for port in ("r_data", "q_data")[:2 if kind.endswith("1rw1r") else 1]]

    def seen(self, name: str) -> list[tuple[tuple[str, ...], str, int]]:
        """What is recorded of an instance: path below it, port and width. Ports of the clock are not."""
        own = [((), port, width) for _, width, port in self.ports[name] if port != "clk"]
        return own + [((at,), port, width) for kind, parameters, at in self.children[name]
                      for width, port in self.outputs(kind, parameters)]

    def drawn(self, most: int) -> dict[str, tuple[tuple[str, ...], ...]]:
        """Instances of each module, at most so many. One that is wires around others is left out."""
        random, found = np.random.default_rng(0), {}
        for name, paths in self.paths().items():
            room = WIDEST // max(1, sum(width for *_, width in self.seen(name)))
            if name not in self.idle and room:
                chosen = random.permutation(len(paths))[:min(most, room)]
                found[name] = tuple(paths[at] for at in sorted(chosen))
        return found

    def signals(self, blocks) -> tuple[Signal, ...]:
        """What is recorded of all blocks, each port once."""
        found, offset = {}, 0
        for name, paths in blocks.items():
            for path in paths:
                for below, port, width in self.seen(name):
                    if (*path, *below, port) not in found:
                        size = next((size for size in (1, 2, 4, 8) if width <= 8 * size),
                                    (width + 31) // 32 * 4)
                        found[*path, *below, port] = Signal((*path, *below), port, width, offset, size)
                        offset += size
        return tuple(found.values())

    def top_of(self, signals) -> str:
        """The module ``recorder``: the ports of the engine, and what is recorded."""
        wires = "".join(f",\n  output wire [{signal.width - 1}:0] recorded_{at}"
                        for at, signal in enumerate(signals))
        inside = ", ".join(f".{port}({port})" for *_, port in self.ports[self.top])
        looks = "".join("  assign recorded_{} = {};\n".format(
            at, ".".join(f"\\{part} " for part in ("engine", *signal.path, signal.port)))
            for at, signal in enumerate(signals))
        head = re.sub(r"\boutput reg\b", "output wire", self.heads[self.top])
        return (f"\nmodule recorder{head}{wires}\n);\n  {self.top} engine ({inside});\n{looks}endmodule\n")
