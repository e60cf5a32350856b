import numpy as np
import pytest

from sw.explore.front import failures, feasible, front, sensitivity
from tests.sw.explore.made import small

SPACE = small(constraints={"cycles": 9})


def rows(*figures, **more):
    return [({"at": at}, {"status": "ok", "cycles": cycles, "area_mm2": area, **more})
            for at, (cycles, area) in enumerate(figures)]


def test_the_front():
    found = rows((3, 3), (1, 9), (2, 5), (3, 2), (2, 6), (9, 2), (10, 1), (2, 5), (4, None))
    found.append(({"at": 9}, {"status": "failed", "reason": "no"}))
    assert [point["at"] for point, _ in front(found, SPACE)] == [1, 2, 3]
    assert len(feasible(found, SPACE)) == 7
    assert front(found[-1:], SPACE) == []


@pytest.mark.parametrize("seed", range(5))
def test_nobody_of_the_front_is_beaten_and_all_others_are(seed):
    values = np.random.default_rng(seed).integers(1, 9, (60, 3))
    space = small(minimise=["cycles", "area_mm2", "memory_mbit"])
    found = [({"at": at}, dict(zip(("cycles", "area_mm2", "memory_mbit"), row), status="ok"))
             for at, row in enumerate(values.tolist())]
    best = [values[point["at"]] for point, _ in front(found, space)]
    assert len({tuple(row) for row in best}) == len(best)
    for row in values:
        beaten = any((other <= row).all() and (other < row).any() for other in values)
        assert beaten is not any((row == other).all() for other in best)


def test_sensitivity():
    """A figure that is 4 times as large at b = 8, and 2 at "exact": 4 to 1 of the variance of logarithms."""
    space = small()
    points = [space.at(number) for number in range(space.size)]
    found = [(point, {**point["hardware"], **point["choices"], "status": "ok"}) for point in points]
    for _, row in found:
        row["cycles"] = 100 * (4 if row["b"] == 8 else 1) * (2 if row["point"] == "exact" else 1)
    shares = sensitivity(found, space, "cycles")
    assert list(shares)[:2] == ["b", "point"]
    assert shares == pytest.approx({"b": 0.8, "point": 0.2, "pag": 0, "sets": 0})
    assert sensitivity(found[:1], space, "cycles") == {} == sensitivity(found, space, "energy_uj")


def test_failures():
    found = rows((10, 1), (11, 1), (3, None), area_why="nobody knows")
    found.append(({}, {"status": "failed", "reason": "pag is 16"}))
    assert failures(found, SPACE) == [
        ("cycles is beyond 9", 2), ("area_mm2 is minimised and not known: nobody knows", 1), ("pag is 16", 1)]
    assert failures(rows((3, 3)), small(constraints={"time_us": 1})) == [
        ("time_us is bounded and not known: no clock_mhz is given", 1)]
