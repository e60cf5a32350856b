"""The report as a browser without a network has it: all in one file, well-formed, nothing from elsewhere."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from sw.explore.cluster import here
from sw.explore.evaluation import command
from sw.explore.front import feasible, front
from sw.explore.report import MOST_OF_FRONT, figure, write_report
from sw.explore.search import evaluated, grid
from sw.explore.store import Store
from tests.sw.explore.made import small

ABOUT = {"method": "grid <of> all"}


class Whole(HTMLParser):
    """Tags that are open, and what refers to something."""

    ALONE = ("meta", "br", "line", "circle", "rect", "polyline")

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.tags, self.names = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open += [tag] if tag not in ("meta", "br") else []
        attrs = dict(attrs)
        self.links += [value for name, value in attrs.items() if name in ("src", "href", "xlink:href")]
        self.names += [attrs["id"]] if "id" in attrs else []

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def report(tmp_path, space, proofs=()):
    found = list(evaluated(grid(space), Store(tmp_path), here))
    best = front(found, space)
    write_report(tmp_path / "x.html", found, space, best, ABOUT, list(proofs))
    return found, best, (tmp_path / "x.html").read_text("utf-8")


def pictures(text):
    return {svg.get("aria-label"): svg for svg in map(ElementTree.fromstring,
                                                       re.findall(r"<svg.*?</svg>", text, re.S))}


def test_it_needs_nothing_else(tmp_path):
    _, best, text = report(tmp_path, small(), [{"design": 1, "verified": True}])
    page = Whole(text)
    assert page.open == [] and "script" not in page.tags and "link" not in page.tags
    assert set(page.links) == {f"#front-{number}" for number in range(1, len(best) + 1)} <= {
        f"#{name}" for name in page.names}
    outside = re.sub(r'xmlns="http://www.w3.org/2000/svg"', "", text)
    assert "http" not in outside and "@import" not in outside and "url(" not in outside
    assert "grid &lt;of&gt; all" in text and "<h2>Built</h2>" in text


def test_it_says_what_was_found(tmp_path):
    space = small(constraints={"area_mm2": 1.5})
    found, best, text = report(tmp_path, space)
    for point, row in best:
        assert command(row, point) in text and figure("cycles", row["cycles"]) in text
    assert "pag is 16, must be a power of two in 2..2b = 8" in text
    assert "not known: error: small has no operands" in text
    assert "energy of the CTA engine is known for" in text
    drawn = pictures(text)
    assert set(drawn) == {"area_mm2 against cycles", "parallel coordinates", "sensitivity", "losses by cause"}
    dots = [each for each in drawn["area_mm2 against cycles"].iter() if each.tag.endswith("circle")]
    places = {(row["cycles"], round(row["area_mm2"], 3)) for _, row in feasible(found, space)}
    assert len(dots) == len(best) + len(places)
    for svg in drawn.values():
        _, _, width, height = map(float, svg.get("viewBox").split())
        for each in svg.iter():
            for name, most in (("cx", width), ("x", width), ("cy", height), ("y", height), ("x2", width)):
                assert 0 <= float(each.get(name, 0)) <= most
    lost = [each.text for each in drawn["losses by cause"].iter() if (each.text or "").endswith("% lost")]
    assert lost == [f"{sum(row['losses'].values()):.1%} lost" for _, row in best]


@pytest.mark.parametrize("changes", [{"constraints": {"area_mm2": 0.001}}, {"minimise": ["cycles"]},
                                     {"minimise": ["cycles", "area_mm2", "memory_mbit"]},
                                     {"hardware": {"b": 4}, "choices": {}}])
def test_any_number_of_figures_and_designs(changes, tmp_path):
    _, best, text = report(tmp_path, small(**changes))
    assert Whole(text).open == []
    assert ("No design is feasible" in text) is not bool(best)
    count = len(changes.get("minimise", (1, 2))) if best else 0
    assert sum(" against " in name for name in pictures(text)) == count * (count - 1) // 2


def test_a_long_front_is_thinned(tmp_path):
    space = small()
    row = next(row for _, row in evaluated([space.at(0)], Store(tmp_path), here))
    found = [(space.at(0), row | {"cycles": 1000 + at, "area_mm2": 9 - at / 100}) for at in range(200)]
    best = front(found, space)
    write_report(tmp_path / "x.html", found, space, best, ABOUT, [])
    text = (tmp_path / "x.html").read_text("utf-8")
    assert len(best) == 200 and text.count('id="front-') == MOST_OF_FRONT
    assert f"{MOST_OF_FRONT} of 200 designs of the front" in text and "1,000" in text and "1,199" in text


def test_figures():
    assert [figure("cycles", 1234567), figure("error", 0.123456), figure("x", None)] == [
        "1,234,567", "0.1235", "–"]
