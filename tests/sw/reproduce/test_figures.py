"""What is said with a figure is true of its numbers."""

import re
from pathlib import Path

import pytest

from sw.reproduce.figures import FIGURES, MISSING

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(scope="module")
def found():
    return {name: make() for name, make in FIGURES.items()}


def of(figure, start):
    return [entry for entry in figure.entries if entry.what.startswith(start)]


def test_every_figure_says_all_there_is_to_say(found):
    for name, figure in found.items():
        assert figure.name == name and figure.entries and figure.command.startswith("hashlayer ")
        for words in (figure.title, figure.differs, figure.holds):
            assert words and words == words.strip()
        assert figure.differs.endswith(".") and figure.holds.endswith(".")
        assert len({entry.what for entry in figure.entries}) == len(figure.entries)
    for each in MISSING:
        assert each.why and not each.why.endswith(".") and each.title.startswith(("CTA, ", "LookupFFN, "))


def test_all_latencies_add_less_than_one_percent(found):
    assert all(1 < entry.ratio < 1.01 for entry in found["table1"].entries)


def test_throughput_holds_within_six_percent(found):
    assert all(abs(entry.ratio - 1) < 0.06 for entry in found["fig12-throughput"].entries)


def test_latency_holds_in_order(found):
    for n in (512, 384):
        shares = {entry.what.split()[2].strip(","): entry for entry in found["fig12-latency"].entries
                  if entry.what.endswith(str(n))}
        here = [shares[name].here for name in ("attention", "linear", "compression")]
        assert here == sorted(here, reverse=True) and sum(here) == pytest.approx(1)
        assert shares["compression"].ratio > 1.5
        assert (shares["attention"].ratio > 1.05) is (n == 512)


def test_the_optimum_of_the_pag(found):
    for b in (4, 8, 16):
        line = [entry.here for entry in found["fig13"].entries if entry.what.endswith(f"b = {b}")]
        assert line == sorted(line, reverse=True) and line[-1] == 1 and 1.15 < line[-2] < 1.25


def test_shares_of_energy_are_those_of_the_page(found):
    """A replay takes minutes: what it gave is recorded in docs/synthesis.md."""
    shares = of(found["fig14"], "share of")
    words = " / ".join(f"{100 * entry.here:.0f}" for entry in shares) + " % at CTA-0"
    paper = " / ".join(f"{100 * entry.paper:.0f}" for entry in shares) + " %"
    page = (DOCS / "synthesis.md").read_text("utf-8")
    assert words in page and f"Fig. 14 has {paper}" in page
    assert shares[0].ratio == pytest.approx(1 / 6, abs=0.02)
    exact = of(found["fig14"], "energy by that of exact")
    assert [entry.here for entry in exact] == sorted((entry.here for entry in exact), reverse=True)


def test_area(found):
    one = {entry.what: entry for entry in found["fig15"].entries}
    assert 0.55 < one["mm² of the array"].ratio < 0.65 and 3.5 < one["mm² of all else"].ratio < 4
    parts = one["mm² of other logic"].here + one["mm² of memories"].here
    assert parts == pytest.approx(one["mm² of all else"].here)
    assert one["mm² of memories"].here > 0.8 * parts
    assert one["mm² of the array"].here + parts == pytest.approx(one["mm² of a unit"].here)


def test_fewer_accesses_the_longer_the_sequence(found):
    for point in ("CTA-0", "CTA-0.5", "CTA-1"):
        line = [entry.here for entry in found["fig16"].entries if f", {point}," in entry.what]
        assert len(line) == 4 and line == sorted(line, reverse=True) and line[0] < 1


def test_flop_hold_to_all_digits_printed(found):
    assert all(f"{entry.here:.2f}" == f"{entry.paper:.2f}" for entry in found["flop"].entries)
    assert found["sizes"].entries[0].ratio == 1


def test_every_picture_can_be_drawn(found):
    plot = pytest.importorskip("matplotlib.pyplot", reason="the plot extra is not installed")
    for figure in found.values():
        if figure.draw:
            drawn, axes = plot.subplots()
            figure.draw(axes)
            assert axes.has_data() and (axes.get_ylabel() or axes.get_xlabel())
            plot.close(drawn)


def test_commands_name_a_command():
    from sw.cli import COMMANDS
    for make in FIGURES.values():
        assert make().command.split()[1] in COMMANDS
    named = re.findall(r"`hashlayer ([a-z]+)", " ".join(each.why for each in MISSING))
    assert named and set(named) <= set(COMMANDS)
