import pickle

import pytest

from gen.engines import ENGINES
from model.command import Parser
from sw.explore import cta, engines, evaluation
from sw.explore.evaluation import beyond, command, evaluate, evaluate_all, models_stamp
from tests.sw.explore.made import small
from tests.sw.explore.test_lookup import DATA as LOOKUP


def test_a_row_is_a_function_of_its_point():
    point = small(clock_mhz=500).at(3)
    again = pickle.loads(pickle.dumps(point))
    row = evaluate(point)
    cta._head.cache_clear()
    assert evaluate(again) == row and again == point
    assert row["status"] == "ok" and row["time_us"] == row["cycles"] / 500
    assert (row["b"], row["sets"], row["point"]) == (4, 2, "exact")


def test_what_fails_is_a_row_with_its_reason(monkeypatch):
    space = small()
    rows = evaluate_all([space.at(number) for number in range(space.size)])
    failed = [row for row in rows if row["status"] == "failed"]
    assert len(failed) == 4
    assert {row["reason"] for row in failed} == {"pag is 16, must be a power of two in 2..2b = 8"}

    def broken(point):
        raise ZeroDivisionError("of ours")
    monkeypatch.setattr(engines.ENGINES["cta"], "price", broken)
    (row,) = evaluate_all([space.at(0)])
    assert row["status"] == "failed" and row["reason"] == "fault in the models, ZeroDivisionError('of ours')"
    assert row["b"] == 4


def test_beyond():
    row = {"cycles": 30, "area_mm2": None, "error": 0.0}
    assert beyond(row, {"cycles": 20, "area_mm2": 1.0, "error": 0.0}) == {
        "cycles": 0.5, "area_mm2": float("inf")}
    assert beyond(row, {"cycles": 30}) == {}
    assert beyond({"cycles": 1}, {"cycles": 0}) == {"cycles": float("inf")}


@pytest.mark.parametrize("space", [
    small(), small(hardware={"ahead": [False], "program": ["table1"], "aps": 2}),
    small(**LOOKUP | {"choices": {}})], ids=["cta", "words", "lookup"])
def test_the_command_emits_the_design(space):
    """What the generator understands by it is the configuration that was priced."""
    point = space.at(0)
    words = command(evaluate(point), point).split()
    assert words[:3] == ["hashlayer", "emit", space.engine]
    parser = Parser()
    ENGINES[space.engine].add_configuration(parser)
    built = ENGINES[space.engine].configuration(parser.parse_args(words[3:]))
    assert built == engines.ENGINES[space.engine].configuration(point)


def test_rows_of_other_models_are_others(monkeypatch, tmp_path):
    before = models_stamp()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "cycles.py").write_text("1")
    monkeypatch.setattr(evaluation, "ROOT", tmp_path)
    models_stamp.cache_clear()
    one = models_stamp()
    (tmp_path / "model" / "cycles.py").write_text("2")
    models_stamp.cache_clear()
    assert len({before, one, models_stamp()}) == 3
    models_stamp.cache_clear()
