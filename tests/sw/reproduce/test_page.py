from pathlib import Path

from sw.reproduce.figure import Entry, Figure, Missing
from sw.reproduce.figures import FIGURES, MISSING
from sw.reproduce.page import page, plain, text

ROOT = Path(__file__).resolve().parents[3]
FIGURE = Figure("one", "Fig. 1", (Entry("cycles", 1000, 1500, ",.0f"), Entry("share", None, 0.25)), "All.",
                "No.", "hashlayer bench cta")


def test_the_page_is_what_the_command_writes():
    """`hashlayer reproduce --pictures docs/img/reproduction --page docs/reproduction.md` makes it anew."""
    found = [make() for make in FIGURES.values()]
    assert (ROOT / "docs" / "reproduction.md").read_text("utf-8") == page(found, MISSING, "img/reproduction")
    for figure in found:
        assert (ROOT / "docs" / "img" / "reproduction" / f"{figure.name}.png").exists() is bool(figure.draw)


def test_a_picture_without_numbers_has_a_dash():
    said = text(FIGURE)
    assert "1,000     1,500    1.50" in said and "–      0.25       –" in said
    assert "verdict  No." in said and "differs  All." in said
    words = page([FIGURE], (Missing("Fig. 2", "it is [far](x.md)"),), "img")
    assert "| cycles | 1,000 | 1,500 | 1.50 |" in words and "| share | – | 0.25 | – |" in words
    assert "![" not in words and "| Fig. 2 | it is [far](x.md) |" in words


def test_links_of_the_page_are_files_on_a_terminal():
    assert plain("see [results](results.md).") == "see docs/results.md."


def test_ratio():
    assert [entry.ratio for entry in FIGURE.entries] == [1.5, None]
