"""docs/rivals.md: its numbers are those that the commands give."""

from pathlib import Path

import pytest

from sw.io.shipped import HEAD
from sw.rivals.compare import rows
from sw.rivals.figures import figures
from sw.rivals.operands import read_layer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rivals.md"


def table(columns: int) -> dict[str, list[str]]:
    """First column and the others, of all rows of the page's tables with so many columns."""
    found = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == columns:
            found[cells[0]] = cells[1:]
    return found


def test_the_table_is_that_of_the_command():
    stated = table(8)
    found = rows(read_layer(HEAD, 512))
    assert set(stated) == {row.name for row in found} | {""}
    for row in found:
        error = "0" if row.error == 0 else f"{row.error:.3f}"
        assert stated[row.name] == [
            str(row.multipliers), f"{row.cycles:,}", row.linears,
            "–" if row.of_ideal is None else f"{row.of_ideal:.3f}", error,
            f"{sum(row.accesses.values()):,.0f}", f"{sum(row.multiplications.values()):,.0f}"]


def test_the_figures_are_those_of_the_command():
    paper, here = [], []
    for name, cells in table(3).items():
        if name:
            paper += [float(value) for value in cells[0].split(", ")]
            here += [float(value) for value in cells[1].split(", ")]
    found = figures(read_layer(HEAD))
    assert paper == [each.paper for each in found]
    assert here == pytest.approx([each.here for each in found], rel=0.004)
