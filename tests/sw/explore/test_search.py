import pytest

from sw.explore.cluster import here
from sw.explore.front import front
from sw.explore.search import evaluated, grid, sampled, searched
from sw.explore.space import digest
from sw.explore.store import Store
from sw.io.errors import InputError
from tests.sw.explore.made import small

WIDE = {"b": [2, 4, 8, 16], "pag": [2, 4, 8, 16], "l": [3, 4, 5, 6], "ahead": [True, False], "k0": 64,
        "k1": 64, "k2": 64, "program": ["table1", "weights"]}


def counted(calls):
    """The evaluator of this process, which counts its points."""
    def evaluator(points):
        calls.append(len(points))
        return here(points)
    return evaluator


def test_what_is_known_is_not_evaluated_again(tmp_path):
    points, calls = grid(small()), []

    def rows(points):
        found = evaluated(points, Store(tmp_path), counted(calls))
        return {digest(point): row for point, row in found}
    first, again = rows(points[:9]), rows(points)
    assert calls == [9, 7] and len(again) == 16 and first.items() <= again.items()


def test_sampled():
    space = small()
    one, other = sampled(space, 5, 1), sampled(space, 5, 2)
    assert len({digest(point) for point in one}) == 5 and one == sampled(space, 5, 1) != other
    assert sampled(space, 99, 1) == grid(space)
    with pytest.raises(InputError, match="the grid has .* points, must have at most"):
        grid(small(hardware={"n": {"from": 2, "to": 2048}, "l": {"from": 1, "to": 1024}}))


@pytest.mark.parametrize("method", ["nsga2", "tpe"])
def test_a_search_is_the_same_again_and_finds_the_front(method, tmp_path):
    pytest.importorskip("optuna", reason="the explore extra is not installed")
    space, calls = small(hardware=WIDE, choices={}, constraints={"area_mm2": 1.6}), []
    shown = []
    one = list(searched(space, 160, 3, method, Store(tmp_path), counted(calls), shown.append))
    again = list(searched(space, 160, 3, method, Store(tmp_path), counted([])))
    assert one == again and sum(shown) == 160 and sum(calls) == len(one) < 160
    assert any(row["status"] == "failed" for _, row in one)
    whole = front(list(evaluated(grid(space), Store(tmp_path), here)), space)
    fastest, found = whole[0][1], front(one, space)
    assert found[0][1]["cycles"] <= 1.1 * fastest["cycles"]
    assert all(row["area_mm2"] <= 1.6 for _, row in found)


def test_what_is_minimised_and_not_known_does_not_end_the_search(tmp_path):
    pytest.importorskip("optuna", reason="the explore extra is not installed")
    space = small(minimise=["cycles", "energy_uj"])
    found = list(searched(space, 20, 0, "nsga2", Store(tmp_path), here))
    assert found and front(found, space) == []


def test_without_optuna(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(InputError, match=r"method tpe needs optuna, .* \(extra explore\)"):
        list(searched(small(), 5, 0, "tpe", Store(tmp_path), here))


def test_a_search_is_told_how_far_a_constraint_is_broken(tmp_path, monkeypatch):
    optuna = pytest.importorskip("optuna", reason="the explore extra is not installed")
    studies, create = [], optuna.create_study
    monkeypatch.setattr(optuna, "create_study", lambda **how: studies.append(create(**how)) or studies[0])
    space = small(constraints={"area_mm2": 1.5})
    rows = [row for _, row in searched(space, 60, 0, "nsga2", Store(tmp_path), here)]
    far = {round(row["area_mm2"] / 1.5 - 1, 6) for row in rows if (row.get("area_mm2") or 0) > 1.5}
    told = {round(trial.constraints["area_mm2"], 6) for trial in studies[0].trials
            if trial.state is optuna.trial.TrialState.COMPLETE}
    assert far and told == far | {0.0}
