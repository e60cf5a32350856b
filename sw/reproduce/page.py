"""Figures as text: for a terminal, and as the page of the documentation."""

import re

from sw.io.tables import heading, line
from sw.reproduce.figure import Entry, Figure, Missing

__all__ = ["page", "plain", "text"]

HEAD = """# The papers' figures, and ours

    hashlayer reproduce                                                          # 10 s; all of them
    hashlayer reproduce --pictures docs/img/reproduction --page docs/reproduction.md    # 15 s; this page

The second command writes this page, and a test holds it to what the command computes. *Ratio* is ours by
the paper's. Where a paper has a picture without numbers, its column has a dash.
"""


def _number(entry: Entry, value: float | None) -> str:
    return "–" if value is None else format(value, entry.digits)


def _cells(entry: Entry) -> list[str]:
    ratio = "–" if entry.ratio is None else f"{entry.ratio:.2f}"
    return [entry.what, _number(entry, entry.paper), _number(entry, entry.here), ratio]


def plain(words: str) -> str:
    """Without the links of a page: ``[name](file)`` becomes ``docs/file``."""
    return re.sub(r"\[[^]]*\]\(([^)]*)\)", r"docs/\1", words)


def text(figure: Figure) -> str:
    """A figure on a terminal."""
    rows = [_cells(entry) for entry in figure.entries]
    columns = [(figure.title, max(len(row[0]) for row in rows)), ("paper", 8), ("here", 8), ("ratio", 6)]
    columns[0] = ("", columns[0][1])
    return "\n".join([figure.title, "", heading(columns), *(line(columns, row) for row in rows), "",
                      f"verdict  {figure.holds}", f"differs  {figure.differs}", f"command  {figure.command}"])


def page(figures: list[Figure], missing: tuple[Missing, ...], pictures: str) -> str:
    """The page; ``pictures`` is the folder of the pictures as it is reached from the page."""
    parts = [HEAD]
    for figure in figures:
        rows = "\n".join("| " + " | ".join(_cells(entry)) + " |" for entry in figure.entries)
        drawn = f"\n![{figure.title}]({pictures}/{figure.name}.png)\n" if figure.draw else ""
        parts.append(f"## {figure.title}\n\n| | paper | here | ratio |\n|---|---|---|---|\n{rows}\n{drawn}\n"
                     f"**{figure.holds}** {figure.differs} Command: `{figure.command}`.\n")
    lines = "\n".join(f"| {each.title} | {each.why} |" for each in missing)
    parts.append(f"## What is not reproduced here\n\n| | why |\n|---|---|\n{lines}\n")
    return "\n".join(parts)
