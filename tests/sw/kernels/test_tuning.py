"""The switches of the kernel: taken from what was measured, kept, and never an error."""

import json

import pytest

from sw.kernels.tuning import NEVER, Switches, kept, measure


def costs(rows_cross, whole_cross):
    """A machine on which rows and tiles, and the two ways to fetch, cross at these numbers of tokens."""
    def seconds(tokens, switches):
        rows = tokens <= switches.rows_up_to
        whole = tokens >= switches.whole_from
        return {"hash": tokens / rows_cross if rows else 1.0,
                "gather": 1.0 if whole else tokens / whole_cross}
    return seconds


@pytest.mark.parametrize("crossings, want", [
    ((6, 256), Switches(6, 256)), ((7, 300), Switches(6, 512)), ((0.5, 1), Switches(0, 64)),
    ((1000, 10**6), Switches(32, NEVER))])
def test_switches_stand_where_one_way_overtakes_the_other(crossings, want):
    assert measure(costs(*crossings)) == want


def test_the_quietest_of_a_few_repetitions_counts():
    calls = []

    def noisy(tokens, switches):
        calls.append(tokens)
        more = 50 if len(calls) % 3 else 1
        return {part: value * more for part, value in costs(6, 256)(tokens, switches).items()}
    assert measure(noisy) == Switches(6, 256)


def test_what_was_measured_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("HASHLAYER_CACHE", str(tmp_path / "cache"))
    assert kept(("avx2", 64), costs(6, 256)) == Switches(6, 256)
    assert kept(("avx2", 64), None) == Switches(6, 256)
    assert kept(("avx2", 65), costs(2, 64)) == Switches(2, 64)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"rows_up_to": "x", "whole_from": 1}', "\x00"])
def test_a_broken_file_is_measured_again(content, tmp_path, monkeypatch):
    monkeypatch.setenv("HASHLAYER_CACHE", str(tmp_path))
    kept(("one",), costs(6, 256))
    path, = tmp_path.glob("kernel-switches-*.json")
    path.write_text(content)
    assert kept(("one",), costs(4, 128)) == Switches(4, 128)
    assert json.loads(path.read_text()) == {"rows_up_to": 4, "whole_from": 128}


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HASHLAYER_CACHE", str(tmp_path / "file"))
    assert kept(("one",), costs(6, 256)) == Switches(6, 256)
