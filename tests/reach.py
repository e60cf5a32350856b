"""What a file of the project loads, by reading its imports: nothing is run for it."""

import ast
import re
import tomllib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["ROOT", "imports", "reached", "is_quick", "extras", "lacking"]

ROOT = Path(__file__).resolve().parent.parent
QUICK = ("tests/model/", "tests/gen/")
SLOW = {"torch", "cocotb", "sw"}
"""What brings training or a compiler. Of our own rooms only ``sw`` calls one."""


@cache
def imports(path: Path, inside: bool = True) -> tuple[str, ...]:
    """Every module that a file imports; without ``inside`` those that it cannot be loaded without:
    not what its functions import, nor what it tries to."""
    nodes, found = [ast.parse(path.read_text())], []
    while nodes:
        node = nodes.pop()
        if inside or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Try)):
            nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from model.cta import head` imports model.cta.head.
            package = ROOT / node.module.replace(".", "/")
            found += [f"{node.module}.{a.name}" if package.is_dir() and a.name != "__version__"
                      else node.module for a in node.names]
    return tuple(found)


@cache
def reached(path: Path, inside: bool = True) -> frozenset[str]:
    """Modules that are loaded with a file, ours and those of others; with ``inside`` also those that
    its own functions load."""
    found, files = set(), [path]
    while files:
        file = files.pop()
        for name in imports(file, inside and file == path):
            parts = name.split(".")
            for depth in range(len(parts), 0, -1):
                module = ".".join(parts[:depth])
                if module not in found:
                    found.add(module)
                    place = ROOT.joinpath(*parts[:depth])
                    files += [f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()]
    return frozenset(found)


def is_quick(path: Path) -> bool:
    """Whether a test file is of ``model`` or ``gen`` and needs no compiler and no torch."""
    return path.relative_to(ROOT).as_posix().startswith(QUICK) and not SLOW & reached(path)


@cache
def extras() -> dict[str, str]:
    """The extra of pyproject.toml that brings a module, where it is called as its package."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return {re.split("[=>]", need)[0]: extra for extra, needs in listed.items() for need in needs}


def lacking(path: Path, there=find_spec) -> str | None:
    """The extra without which a test file cannot be loaded, or None where all of them are ``there``."""
    wanted = sorted(extras().keys() & reached(path, inside=False))
    return next((extras()[module] for module in wanted if not there(module)), None)
