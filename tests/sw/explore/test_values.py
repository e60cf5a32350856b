import pytest

from sw.explore.values import MOST, expanded, table
from sw.io.errors import InputError


@pytest.mark.parametrize("given, values", [
    (3, [3]), ("weights", ["weights"]), ([1, 5], [1, 5]), ([True, False], [True, False]),
    ({"from": 2, "to": 4}, [2, 3, 4]), ({"from": 1, "to": 8, "step": 3}, [1, 4, 7]),
    ({"from": 4, "to": 32, "powers": True}, [4, 8, 16, 32]),
    ({"from": 3, "to": 13, "powers": True}, [3, 6, 12])])
def test_values(given, values):
    assert expanded("b", given) == values


@pytest.mark.parametrize("given, text", [
    ([], "b is [], must have a value"), ([1.5], "b has 1.5, must be integers, words or booleans"),
    ([2, 2], "b is [2, 2], must not have a value twice"), ({"from": 1}, "b lacks 'to'"),
    ({"from": 1, "to": 2, "by": 3}, "b key 'by' is unknown, must be one of from, to, step, powers"),
    ({"from": 9, "to": 2}, "b is 9..2 by 1, must rise"), ({"from": 0, "to": 2, "powers": True}, "must rise"),
    ({"from": True, "to": 2}, "b.from is True, must be an integer"),
    ({"from": 1, "to": 8, "step": 2, "powers": True}, "b.powers is True, must be true or false, and without"),
    ({"from": 1, "to": MOST + 1}, f"b has more than {MOST} values")])
def test_refused(given, text):
    with pytest.raises(InputError) as error:
        expanded("b", given)
    assert text in str(error.value)


def test_a_table():
    assert table("t", {"a": 1}, ("a",)) == {"a": 1}
    with pytest.raises(InputError, match="t is 3, must be a table"):
        table("t", 3, ())
