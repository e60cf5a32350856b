"""The picture of the rooms: which package takes from which, read from the imports of every file.

``python -m docs.site.rooms`` draws ``docs/img/rooms.svg``; ``tests/docs/test_pages.py`` draws it again and
compares. A room stands a floor above the highest that it takes from, so every arrow goes down: rooms in a
circle have no floor, and are refused.
"""

import ast
import sys
from pathlib import Path

from docs.site.svg import COLOURS, Svg
from model.files import write_text

__all__ = ["FILE", "draw", "floors", "main", "taken"]

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "img" / "rooms.svg"
TOP = ("model", "gen", "verif", "sw", "synth")
WIDTH, HIGH, BOX = 1000, 92, 128


def room(module: str) -> str:
    """The room of a module: a top package, of ``sw`` the package below it."""
    parts = module.split(".")
    inside = parts[0] == "sw" and len(parts) > 1 and (ROOT / "sw" / parts[1]).is_dir()
    return ".".join(parts[: 2 if inside else 1])


def taken(root: Path = ROOT) -> dict[str, set[str]]:
    """Rooms that each room imports from, inside functions as well; the command at the top of ``sw``, which
    loads all by name, is none."""
    found: dict[str, set[str]] = {}
    for package in TOP:
        for path in sorted((root / package).rglob("*.py")):
            own = room(".".join(path.relative_to(root).with_suffix("").parts))
            names = found.setdefault(own, set())
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {room(alias.name) for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names |= {room(f"{node.module}.{alias.name}") for alias in node.names}
    return {
        name: {other for other in names if other in found and other not in (name, "sw")}
        for name, names in found.items()
        if name != "sw"
    }


def floors(graph: dict[str, set[str]]) -> dict[str, int]:
    """The floor of each room, 0 for one that takes from none. Raises ValueError for rooms in a circle."""
    level: dict[str, int] = {}
    while len(level) < len(graph):
        ready = [
            name for name, below in graph.items() if name not in level and below <= level.keys()
        ]
        if not ready:
            raise ValueError(f"rooms in a circle: {sorted(graph.keys() - level.keys())}")
        level |= {name: 1 + max((level[b] for b in graph[name]), default=-1) for name in ready}
    return level


def _needed(graph):
    """Arrows that no other way implies: the picture has these alone."""

    def reached(name):
        return set().union(*({b} | reached(b) for b in graph[name])) if graph[name] else set()

    return {
        name: {b for b in below if not any(b in reached(o) for o in below - {b})}
        for name, below in graph.items()
    }


def draw() -> Svg:
    """The rooms on their floors, model at the bottom."""
    graph = taken()
    level = floors(graph)
    top = max(level.values())
    s = Svg(WIDTH, HIGH * (top + 1) + 50)
    s.text(WIDTH / 2, 24, "Who imports whom: every arrow goes down", 15, bold=True)
    place = {}
    for floor in range(top + 1):
        names = sorted(name for name in graph if level[name] == floor)
        for at, name in enumerate(names):
            place[name] = (WIDTH * (at + 1) / (len(names) + 1), 50 + HIGH * (top - floor))
    for at, (name, below) in enumerate(sorted(_needed(graph).items())):
        x, y = place[name]
        for other in sorted(below):
            to, down = place[other]
            s.line((x, y + 38), (to, down - 1), arrow=True, colour=COLOURS[at % len(COLOURS)])
    for name, (x, y) in place.items():
        fill = {"model": "data", "gen": "unit", "verif": "memory", "synth": "cluster"}.get(
            name, "control"
        )
        s.box(x - BOX / 2, y, BOX, 38, (name,), fill)
    return s


def main() -> int:
    """Write the picture; returns the exit status."""
    write_text(FILE, str(draw()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
