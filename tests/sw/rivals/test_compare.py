"""The rows of all rivals, and the command that prints them."""

import json

import numpy as np
import pytest

from sw.rivals.__main__ import main
from sw.rivals.compare import price, rivals, rows, table
from sw.rivals.elsa import ELSA
from sw.rivals.rival import Layer
from tests.sw.rivals.made import random_layer, shipped


def test_a_row_counts_linears_that_are_done_elsewhere():
    row = price(ELSA(), Layer(512))
    assert row.linears == "elsewhere" and row.why is None
    assert row.of_ideal == pytest.approx((67072 * 528 + 3 * 512 * 64 * 64) / (77824 * 512))
    assert price(ELSA(gpu=True), Layer(512)).of_ideal is None
    assert row.area_mm2 == pytest.approx(2.15)


def test_what_a_rival_does_not_take_is_said():
    found = {row.name: row for row in rows(Layer(100, dw=128))}
    assert "needs" not in found["ELSA, all keys"].name and found["ELSA, all keys"].why is None
    assert "chooses its candidates" in found["ELSA, p = 1"].why
    assert "Table I is for dw = d" in found["CTA-0 as published"].why
    text = table(list(found.values()))
    assert "not in the table: ELSA, p = 1: " in text
    assert not any(line.startswith("ELSA, p = 1 ") for line in text.splitlines())


def test_clusters_of_a_layer_stand_for_the_points():
    names = [rival.name for rival in rivals(shipped(64, clusters=(9, 8, 7)))]
    assert "CTA as published" in names and "CTA-0 as published" not in names
    assert len(set(names)) == len(names)


def test_every_width_has_arrays_of_one_size():
    layer = random_layer(24, 1, 32)
    for b in (2, 8, 32):
        own = [row.multipliers for row in rows(layer, b) if row.linears == "own"]
        assert len(own) > 5 and set(own) == {b * 32}


def test_command(tmp_path, capsys):
    assert main(["--n", "64", "--heads", "2", "--json", str(tmp_path / "rivals.json")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("n 64, heads 2, d 64, dw 64\n") and "A3, conservative" in out
    data = json.loads((tmp_path / "rivals.json").read_text())
    assert data["n"] == 64
    assert [row["name"] for row in data["rivals"]] == [rival.name for rival in rivals(Layer(64))]
    assert all(row["source"] and row["cycles"] > 0 for row in data["rivals"])


def test_a_layer_of_ones_own(tmp_path, capsys):
    q, k = np.random.default_rng(0).standard_normal((2, 2, 12, 32))
    np.savez(tmp_path / "layer.npz", q=q, k=k, dw=64)
    assert main(["--operands", str(tmp_path / "layer.npz"), "--clusters", "6,5,4", "--b", "4"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("n 12, heads 2, d 32, dw 64\n") and "this engine, CTA " in out
    assert "not in the table: CTA as published: Table I is for dw = d" in out


@pytest.mark.parametrize("flags, message", [
    (["--n", "513"], "n is 513, must be in 1..512"),
    (["--clusters", "1,2"], "clusters is '1,2', must be K0,K1,K2"),
    (["--n", "64", "--clusters", "65,1,1"], "k0 is 65, must be in 1..64"),
    (["--heads", "0"], "heads is 0"), (["--operands", "none.npz"], "none.npz does not exist"),
    (["--report", "none/x.json"], "none/x.json cannot be written"), (["--n", "x"], "invalid int value")])
def test_bad_input(capsys, flags, message):
    try:
        status = main(flags)
    except SystemExit as stop:
        status = stop.code
    err = capsys.readouterr().err
    assert status == 2 and message in err and err.count("\n") == 1


@pytest.mark.parametrize("n", [1, 2, 3, 33])
def test_few_tokens(n):
    assert all(row.why is None and row.cycles > 0 for row in rows(shipped(n)))
