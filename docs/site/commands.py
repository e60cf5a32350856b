"""Every command of the documentation, found in its code blocks and its text.

A command in a block either is run by ``tests/docs/test_commands.py`` as it stands, or ends in a
comment that says how long it takes: ``make demo    # 2 min``.
"""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Command", "commands", "inline"]

ROOT = Path(__file__).resolve().parents[2]
STARTS = re.compile(
    r"^(?:\$ )?((?:time )?(?:make|python|python3|hashlayer|\.venv/bin/python|\.venv/bin/pytest"
    r"|pytest|pip|git|verilator|iverilog|yosys|grep|\./|\. )(?: .*)?)$"
)
TIME = re.compile(r"#.*?\b(\d+(?:\.\d+)? (?:s|min|h))\b")
PLAIN = ("text", "python", "json", "yaml", "verilog", "toml")


@dataclass(frozen=True)
class Command:
    """A command of a page: ``words`` without its comment, and the time it says, or None."""

    page: str
    line: int
    words: str
    time: str | None


def pages(root: Path = ROOT) -> list[Path]:
    """README, CONTRIBUTING and whatever else is Markdown at the top, verif and docs."""
    return sorted(
        [*root.glob("*.md"), *(root / "verif").glob("*.md"), *(root / "docs").rglob("*.md")]
    )


def blocks(text: str):
    """(line number, line) of each line of a code block, fenced or indented by four spaces."""
    fence, list_item = None, False
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.match(r"\s*```(\w*)", line):
            fence = None if fence is not None else found[1]
        elif fence is not None:
            if fence not in PLAIN:
                yield number, line.strip()
        elif line.startswith("    ") and not list_item:
            yield number, line.strip()
        elif line.strip():
            list_item = (
                bool(re.match(r"\s*([-*]|\d+\.) ", line)) or list_item and line.startswith(" ")
            )


def commands(root: Path = ROOT) -> list[Command]:
    """All commands in code blocks; a line that ends in a backslash goes on in the next."""
    found = []
    for path in pages(root):
        before = ""
        for number, line in blocks(path.read_text("utf-8")):
            line = before + line
            before = line[:-1].rstrip() + " " if line.endswith("\\") else ""
            if not before and STARTS.match(line):
                time = TIME.search(line)
                words = re.sub(r"\s+#.*$", "", line).removeprefix("$ ")
                found.append(
                    Command(path.relative_to(root).as_posix(), number, words, time and time[1])
                )
    return found


def inline(root: Path = ROOT) -> list[tuple[str, str]]:
    """(page, module) of each ``python -m MODULE`` of a page, wherever it stands."""
    return [
        (path.relative_to(root).as_posix(), module.rstrip("."))
        for path in pages(root)
        for module in re.findall(r"\bpython -m\s+([\w.]+)", path.read_text("utf-8"))
    ]
