import json

import pytest

from sw.explore import advice
from sw.explore.advise import _quantity, main
from sw.explore.evaluation import evaluate
from sw.explore.space import read_space


@pytest.fixture(autouse=True)
def grid(monkeypatch):
    monkeypatch.setattr(advice, "GRID", ((8, 16, "weights"), (16, 32, "weights")))


def test_minilm(capsys, tmp_path):
    """All that a person needs, and a space that says the same once more."""
    out = str(tmp_path / "out")
    assert main(["minilm", "--area", "7mm2", "--error", "0.01", "--n", "128", "-o", out]) == 0
    said = capsys.readouterr().out
    for words in ("MiniLM: 6 layers of 12 heads of 32", "1 - cosine of the sentence embedding",
                  "docs/pretrained.md", "emit     hashlayer emit cta --b ", "advice.toml --verify 1",
                  "export   hashlayer pretrained FOLDER", "scaled by gates; not measured"):
        assert words in said
    saved = json.loads((tmp_path / "out" / "advice.json").read_text())
    space = read_space(tmp_path / "out" / "advice.toml")
    row = evaluate(space.at(0))
    assert space.size == 1 and saved["error"] <= 0.01 and len(saved["policy"]) == 6
    for name in ("cycles", "area_mm2", "time_us", "memory_mbit"):
        assert row[name] == saved["row"][name]
    assert row["area_mm2"] <= 7 and saved["emit"] in said


def test_the_smallest_within_a_time(capsys):
    assert main(["bert-base", "--time", "20ms", "--n", "128"]) == 0
    said = capsys.readouterr().out
    assert "not measured for this network" in said and "with -o FOLDER: hashlayer explore" in said


@pytest.mark.parametrize("name, text, value", [
    ("area", "3mm2", 3), ("area", "2.5", 2.5), ("area", "3e6um2", 3), ("time", "2ms", 2000),
    ("clock", "1GHz", 1000)])
def test_quantities(name, text, value):
    assert _quantity(name, text) == pytest.approx(value)


@pytest.mark.parametrize("words, text", [
    (["nothing"], "model is 'nothing', must be one of minilm"),
    (["minilm", "--area", "3cm2"], "area is '3cm2', must be a number and one of mm2, um2"),
    (["minilm", "--area", "0"], "area is '0', must be above 0"),
    (["minilm", "--area", "1.2.3"], "must be a number"),
    (["minilm", "--n", "1"], "n is 1, must be in 2..2048"),
    (["minilm", "--error", "nan"], "error is nan, must be 0 or more"),
    (["minilm", "--bandwidth", "0"], "bandwidth is 0.0, must be above 0"),
    (["minilm", "--policy", "none.json"], "none.json is no policy"),
    (["minilm", "--area", "0.1mm2", "--n", "64"], "no design is within all limits; the nearest has area")])
def test_refused(words, text, capsys):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith("sw.explore.advise: ") and text in err and err.count("\n") == 1
