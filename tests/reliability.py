"""What the sweeps tried, as the rows of the table in docs/reliability.md."""

import re
from pathlib import Path

from tests.reach import ROOT

__all__ = ["PAGE", "rows", "recorded"]

PAGE = ROOT / "docs" / "reliability.md"
ROW = re.compile(r"\| (?P<kind>[^|]+) \| (?P<tried>[^|]+) \|\n")
HEAD = "| kind | tried |\n|---|---|\n"


def _text(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in counts.items())


def rows(counts: dict[str, dict[str, int]]) -> dict[str, str]:
    """What was tried of each kind, in words."""
    return {kind: _text(counts[kind]) for kind in sorted(counts)}


def recorded(counts: dict[str, dict[str, int]], page: Path = PAGE) -> str:
    """The text of the page with the kinds that were tried now; what was not tried keeps its row."""
    before, _, after = page.read_text("utf-8").partition(HEAD)
    table = re.match(f"(?:{ROW.pattern})*".replace("?P<kind>", "").replace("?P<tried>", ""), after)[0]
    found = {row["kind"]: row["tried"] for row in ROW.finditer(table)} | rows(counts)
    lines = "".join(f"| {kind} | {found[kind]} |\n" for kind in sorted(found))
    return before + HEAD + lines + after[len(table):]
