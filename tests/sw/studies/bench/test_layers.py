"""The bench of whole layers: a small one on the RTL, the table of all from the cycle model."""

import json

import pytest

from model.cta.cost import OPERATING_POINTS
from sw.studies.bench import layers
from sw.studies.bench.__main__ import main

SMALL = (layers.Net("small", 32, 3, 16), layers.Net("apart", 16, 3, 16, shared=False))


@pytest.mark.parametrize("net", SMALL, ids=lambda net: net.name)
def test_a_layer_on_the_rtl(net):
    """Transfers hide behind the jobs: the wall clock is the jobs' cycles and what lies between them."""
    row = layers.measure(layers.Sizes(net, 96, "some", 60, 45, 12))
    assert row["equal_golden"] and row["equal_model"] and row["held"] == 0
    assert row["losses"].get("transfers", 0) == 0, row
    assert sum(row["losses"].values()) + row["useful"] * row["cycles"] == pytest.approx(
        row["cycles"], abs=len(row["losses"]))


def test_a_difference_is_seen(monkeypatch):
    """A cycle model that is wrong by one, and a golden model wrong in one bit."""
    real = layers.head_cycles

    def wrong(*args, **how):
        found = real(*args, **how)
        found.total += 1
        return found

    size = layers.Sizes(SMALL[0], 40, "some", 20, 16, 8)
    monkeypatch.setattr(layers, "head_cycles", wrong)
    row = layers.measure(size)
    assert row["equal_golden"] and not row["equal_model"]
    due = layers.golden.run

    def off(*args):
        found = due(*args)
        found.heads[-1].o[0, 0] += 1
        return found

    monkeypatch.setattr(layers.golden, "run", off)
    assert not layers.measure(size)["equal_golden"]


def test_all_layers_by_the_cycle_model(tmp_path, capsys):
    assert main(["layers", "--model", "--json", str(tmp_path / "layers.json")]) == 0
    rows = json.loads((tmp_path / "layers.json").read_text())
    assert len(rows) == 3 * (3 * len(layers.TOKENS) + 1)
    assert {row["point"] for row in rows} == {point.name for point in OPERATING_POINTS}
    for row in rows:
        assert 0 < row["useful"] < 1 and row["ratio"] == row["cycles"] / row["table1"]
        lost = sum(row["losses"].values()) + row["useful"] * row["cycles"]
        assert lost == pytest.approx(row["cycles"], abs=len(row["losses"]))
    assert "BERT-large" in capsys.readouterr().out


def test_one_layer_of_another_width(capsys):
    assert main(["layers", "--model", "--net", "BERT-base", "--n", "512", "--point", "CTA-0.5",
                 "--b", "16"]) == 0
    assert capsys.readouterr().out.count("BERT-base") == 1


def test_a_width_that_there_is_not(capsys):
    assert main(["layers", "--model", "--net", "MiniLM", "--n", "128", "--b", "3"]) == 1
    assert "b is 3, must be one of" in capsys.readouterr().out
