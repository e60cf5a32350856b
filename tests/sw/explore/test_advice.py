from itertools import product

import pytest

from sw.explore import advice
from sw.explore.advice import Limits, advise
from sw.explore.networks import KNOWN, Network
from sw.io.errors import InputError
from sw.policy.candidates import CANDIDATES

N = 64
OPTIONS = tuple((candidate, 0.01 * at) for at, candidate in enumerate(CANDIDATES))
SMALL = Network("small", 3, 2, 16, 32, (OPTIONS, OPTIONS[:4], OPTIONS), False, "error", "made up")


@pytest.fixture(autouse=True)
def grid(monkeypatch):
    monkeypatch.setattr(advice, "GRID", ((4, 8, "weights"), (8, 8, "table1"), (8, 16, "weights")))


def every(net, limit):
    """Rows of all shapes and all policies within an error, one by one."""
    for shape in advice.GRID:
        for chosen in product(*net.options):
            if sum(error for _, error in chosen) <= limit + 1e-12:
                policy = tuple(candidate for candidate, _ in chosen)
                yield advice.evaluate(advice._point(net, N, *shape, policy, {"technology": "45nm"}, 800.0))


def test_nothing_is_faster_within_the_limits():
    """Held to all policies that there are."""
    rows = list(every(SMALL, 0.1))
    fastest = min(row["cycles"] for row in rows)
    found = advise(SMALL, N, Limits(0.1, area_mm2=99.0), clock=800.0)
    assert found.row["cycles"] == fastest and found.error <= 0.1
    assert found.error == pytest.approx(sum(dict(options)[each] for options, each
                                            in zip(SMALL.options, found.policy)))
    smallest = min(row["area_mm2"] for row in rows)
    assert advise(SMALL, N, Limits(0.1), clock=800.0).row["area_mm2"] <= 1.02 * smallest


def test_limits_are_kept():
    free = advise(SMALL, N, Limits(0.1, area_mm2=99.0), clock=800.0)
    tight = advise(SMALL, N, Limits(0.1, area_mm2=0.97 * free.row["area_mm2"]), clock=800.0)
    assert tight.row["area_mm2"] <= 0.97 * free.row["area_mm2"] and tight.row["cycles"] > free.row["cycles"]
    timed = advise(SMALL, N, Limits(0.1, time_us=1.1 * free.row["time_us"]), clock=800.0)
    assert timed.row["time_us"] <= 1.1 * free.row["time_us"]
    slow = advise(SMALL, N, Limits(0.1, 99.0, bandwidth=0.9 * free.row["elements_a_cycle"]), clock=800.0)
    assert slow.row["elements_a_cycle"] <= 0.9 * free.row["elements_a_cycle"]
    assert advise(SMALL, N, Limits(0.0, 99.0), clock=800.0).policy == (CANDIDATES[0],) * 3


def test_the_engine_has_room_for_the_policy_and_no_more():
    found = advise(SMALL, N, Limits(0.1, 99.0), clock=800.0)
    most = [max(max(1, round(each.fractions[at] * N)) if each.fractions else 0 for each in found.policy)
            for at in range(3)]
    hardware = found.point["hardware"]
    assert [hardware[name] for name in ("k0", "k1", "k2")] == [max(32, count) for count in most]
    assert hardware["exact"] == (N if CANDIDATES[0] in found.policy else 32)
    assert sum(workload["layers"] for workload in found.point["workloads"]) == 3
    assert found.row["status"] == "ok" and found.exact_cycles > found.row["cycles"]


def test_layers_that_must_do_alike_do():
    net = KNOWN["bert-base"]
    names = {limit: {each.name for each in advise(net, 128, Limits(limit, 99.0), clock=800.0).policy}
             for limit in (0.0, 0.005, 0.5)}
    assert names == {0.0: {"CTA-0"}, 0.005: {"CTA-0.5"}, 0.5: {"CTA-1"}}


@pytest.mark.parametrize("net, limits, text", [
    (SMALL, Limits(0.1, area_mm2=0.01), "no design is within all limits; the nearest has area_mm2"),
    (SMALL, Limits(0.1, time_us=0.1), "no design is within all limits"),
    (Network("x", 1, 1, 16, 32, (OPTIONS[1:],), False, "", ""), Limits(0.0), "no policy of x is known"),
    (Network("x", 1, 1, 12, 24, (OPTIONS,), False, "", ""), Limits(0.1), "no engine takes heads of 12")])
def test_what_cannot_be_is_told(net, limits, text):
    with pytest.raises(InputError, match=text):
        advise(net, N, limits, clock=800.0)
