from xml.etree import ElementTree

from sw.explore.pictures import MOST_DOTS, bars, parallel, scatter, stacked
from tests.sw.explore.made import small

ROW = {"status": "ok", "b": 4, "pag": 4, "sets": 1, "k0": 64, "k1": 64, "k2": 64, "point": "exact",
       "losses": {"pause": 0.1, "value load": 0.05}}


def found(count):
    return [({}, ROW | {"cycles": 10 + at, "area_mm2": 5 - at / count}) for at in range(count)]


def of(svg, tag):
    return [each for each in ElementTree.fromstring(svg).iter() if each.tag.endswith("}" + tag)]


def test_a_large_scatter_is_thinned():
    good = found(5 * MOST_DOTS)
    dots = of(scatter(good, good[:2], "cycles", "area_mm2", ["a <b>", "c"]), "circle")
    assert len(dots) <= 2 * MOST_DOTS
    assert "a <b>" in of(scatter(good, good[:1], "cycles", "area_mm2", ["a <b>"]), "title")[0].text


def test_a_line_a_point():
    lines = of(parallel(found(7), found(2), small()), "polyline")
    assert len(lines) == 9 and all(len(line.get("points").split()) == 6 for line in lines)


def test_many_causes_are_one():
    row = ROW | {"losses": {f"cause {at}": 0.01 * at for at in range(1, 15)}}
    svg = stacked([({}, row)])
    widths = [float(each.get("width")) for each in of(svg, "rect") if each.get("height") == "13"]
    assert len(widths) == 10 and abs(sum(widths) - 720) < 1 and "other" in svg
    assert len(of(stacked([({}, ROW)]), "rect")) < 10


def test_bars():
    drawn = of(bars({"cycles": {"b": 0.5, "l": 0.0}}), "rect")
    assert [float(each.get("width")) for each in drawn] == [300, 1]
