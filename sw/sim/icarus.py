"""cocotb benches on Icarus Verilog, which knows four values: what no reset and no load has set is X.

Verilator gives registers random bits at power-up; a result that is right by luck is right there.
Icarus needs an installation of its own (``iverilog`` and ``vvp`` on PATH).
"""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from sw.io.build_cache import scratch, settle
from sw.sim import verilator
from sw.sim.bench_simulator import BenchSimulator
from sw.sim.verilator import ToolError

__all__ = ["SIMULATOR"]

PRODUCT = "sim.vvp"
"""The file that cocotb's runner gives to ``vvp``."""

FLAGS = ("-g2005",)
TIMESCALE = "+timescale+1ns/1ps\n"


def _run(*command, **more):
    try:
        return subprocess.run(command, text=True, capture_output=True, errors="replace", **more)
    except OSError as error:
        raise ToolError(f"{command[0]} does not run: {error}") from None


def _find() -> str:
    for tool in ("iverilog", "vvp"):
        if shutil.which(tool) is None:
            raise ToolError(f"Icarus Verilog is not installed: {tool!r} is not on PATH (Debian: apt "
                            "install iverilog)")
    said = _run("iverilog", "-V").stdout
    number = re.search(r"version (\S+)", said)
    return f"{number[1] if number else 'unknown version'}, {shutil.which('iverilog')}"


def _build(key: str, text: str, top: str, ports, progress=None) -> Path:
    inputs = (_find(), top, text, FLAGS, TIMESCALE)
    digest = hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]
    folder = verilator.cache_dir() / f"icarus-{key}-{digest}"
    if (folder / PRODUCT).exists():
        return folder
    with scratch(folder.parent) as work:
        (work / f"{top}.v").write_text(text)
        (work / "timescale.f").write_text(TIMESCALE)
        if progress:
            progress(0, 1, "compiling")
        run = _run("iverilog", *FLAGS, "-s", top, "-o", PRODUCT, "-f", "timescale.f", f"{top}.v", cwd=work)
        if run.returncode:
            raise ToolError(f"iverilog failed on {top}:\n{run.stderr.strip()[-2000:]}")
        settle(work, folder, PRODUCT)
    return folder


def _arguments(seed: int) -> list[str]:
    """There is nothing to draw: what was never set is X."""
    return []


SIMULATOR = BenchSimulator("icarus", _find, _build, _arguments)
