import pytest

from sw.explore.axes import axis, short


@pytest.mark.parametrize("values", [[3.0, 4.0], [1e3, 1.1e6], [0.0, 5.0], [7.0, 7.0], [0.1, 90], [17, 150]])
def test_places_and_ticks_are_within(values):
    found = axis(values, 400, 50)
    places = [found.place(value) for value in values]
    assert all(50 <= place <= 400 for place in places) and places == sorted(places, reverse=True)
    ticks = found.ticks()
    assert 1 <= len(ticks) <= 9 and all(50 <= found.place(tick) <= 400 for tick in ticks)
    assert ticks == sorted(set(ticks))


def test_logarithms_keep_factors_apart_alike():
    found = axis([1, 10_000], 0, 100)
    assert found.log and [round(found.place(10.0 ** power)) for power in range(5)] == [0, 25, 50, 75, 100]
    assert not axis([5, 9], 0, 1).log and not axis([-1, 900], 0, 1).log


@pytest.mark.parametrize("value, text", [(0.4321, "0.432"), (1234, "1.23k"), (2.5e6, "2.5M"), (3e9, "3G")])
def test_short(value, text):
    assert short(value) == text
