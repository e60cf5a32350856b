"""The bench of output projections: a small one on the RTL, all rows from the cycle model, refusals."""

import json

import pytest

from model.cta.programs import PRODUCTS
from sw.studies.bench import layers, projections
from sw.studies.bench.__main__ import main

SMALL = layers.Net("small", 128, 8, 16)


@pytest.mark.parametrize("products", PRODUCTS)
def test_a_projection_on_the_rtl(products):
    """No job waits for another: what is more than their cycles is the rows, which share the bank of tokens
    and come while the last job of the layer before ends."""
    row = projections.measure(layers.Sizes(SMALL, 96, "some", 60, 45, 12), products=products, lanes=8)
    assert row["equal_golden"] and row["equal_model"] and row["held"] == 0
    beats = row["k0"] * SMALL.dw // row["lanes"]
    assert 0.9 * beats <= row["losses"]["transfers"] <= beats + 60
    assert sum(row["losses"].values()) + row["useful"] * row["cycles"] == pytest.approx(
        row["cycles"], abs=len(row["losses"]))
    assert row["table1"] == 96 * 128 * 128 // (8 * 16)


def test_a_difference_is_seen(monkeypatch):
    real = projections.linear_job.run_layer

    def off(*args):
        found = real(*args)
        found[-1].y[0, 0] += 1
        return found
    monkeypatch.setattr(projections.linear_job, "run_layer", off)
    row = projections.measure(layers.Sizes(SMALL, 96, "some", 20, 45, 12))
    assert not row["equal_golden"] and row["equal_model"]


def test_by_the_cycle_model(tmp_path, capsys):
    """Half the products, and a little, with fast ones; programs whose centroids stay have no linear jobs."""
    found = {}
    for products in PRODUCTS:
        assert main(["layers", "--model", "--projection", "--net", "BERT-base", "--n", "512", "--point",
                     "CTA-0.5", "--products", products, "--json", str(tmp_path / "rows.json")]) == 0
        found[products], = json.loads((tmp_path / "rows.json").read_text())
    plain, fast = (found[products] for products in PRODUCTS)
    assert plain["part"] == "projection" and plain["k0"] == 272 and plain["table1"] == 512 * 768 * 768 // 512
    assert 0.5 < fast["cycles"] / plain["cycles"] < 0.52 and min(plain["useful"], fast["useful"]) >= 0.96
    assert main(["layers", "--model", "--projection", "--net", "MiniLM", "--n", "128", "--point", "CTA-1",
                 "--program", "table1"]) == 1
    assert "has no linear jobs" in capsys.readouterr().out
