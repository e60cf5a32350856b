"""What a file of the project loads, by reading its imports: nothing is run for it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "imports", "reached", "is_quick"]

ROOT = Path(__file__).resolve().parent.parent
QUICK = ("tests/model/", "tests/gen/")
SLOW = {"torch", "cocotb", "sw"}
"""What brings training or a compiler. Of our own rooms only ``sw`` calls one."""


def imports(path: Path, inside: bool = True) -> Iterator[str]:
    """Every module that a file imports; without ``inside`` not those that its functions import."""
    nodes = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if inside or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from model.cta import head` imports model.cta.head.
            package = ROOT / node.module.replace(".", "/")
            yield from (f"{node.module}.{a.name}" if package.is_dir() and a.name != "__version__"
                        else node.module for a in node.names)


@cache
def reached(path: Path) -> frozenset[str]:
    """Modules that are loaded with a file and by its own functions, ours and those of others."""
    found, files = set(), [path]
    while files:
        file = files.pop()
        for name in imports(file, inside=file == path):
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
