import pytest

from sw.explore.evaluation import evaluate_all
from sw.explore.store import Store
from sw.io.errors import InputError
from tests.sw.explore.made import small

POINTS = [small().at(number) for number in range(4)]


def test_rows_come_back_as_they_were_kept(tmp_path):
    rows = Store(tmp_path / "new").add(POINTS, evaluate_all(POINTS))
    again = Store(tmp_path / "new")
    assert [again.get(point) for point in POINTS] == rows and len(again.rows) == 4
    assert again.get(small().at(9)) is None


def test_a_kill_loses_the_line_that_was_being_written(tmp_path):
    store = Store(tmp_path)
    rows = store.add(POINTS, evaluate_all(POINTS))
    whole = store.path.read_bytes()
    for cut in (1, 20, len(whole.splitlines()[-1])):
        store.path.write_bytes(whole[:-cut])
        again = Store(tmp_path)
        assert [again.get(point) for point in POINTS] == [*rows[:3], None]
        again.add(POINTS[3:], rows[3:])
        assert store.path.read_bytes() == whole


def test_damage_in_the_middle_costs_that_line(tmp_path):
    store = Store(tmp_path)
    store.add(POINTS, evaluate_all(POINTS))
    lines = store.path.read_bytes().splitlines(keepends=True)
    lines[1] = b"\xff not JSON\n"
    store.path.write_bytes(b"".join(lines))
    again = Store(tmp_path)
    assert [again.get(point) is None for point in POINTS] == [False, True, False, False]


def test_two_runs_may_write(tmp_path):
    one, other = Store(tmp_path), Store(tmp_path)
    one.add(POINTS[:2], evaluate_all(POINTS[:2]))
    other.add(POINTS[2:], evaluate_all(POINTS[2:]))
    assert len(Store(tmp_path).rows) == 4


def test_a_fault_is_tried_again(tmp_path):
    row = {"status": "failed", "reason": "fault in the models, KeyError('x')"}
    store = Store(tmp_path)
    assert store.add(POINTS[:1], [row]) == [row]
    assert store.get(POINTS[0]) is None and not Store(tmp_path).rows


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        Store(tmp_path / "file")
