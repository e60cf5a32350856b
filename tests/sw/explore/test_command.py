"""The command as a user has it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from sw.explore import command
from sw.explore.command import main

pytest.importorskip("pyarrow", reason="the explore extra is not installed")

SPACE = """
minimise = ["cycles", "area_mm2"]
[hardware]
b = [4, 8]
pag = [4, 16]
k0 = 64
k1 = 64
k2 = 64
[choices]
point = ["CTA-0", "exact"]
[[workloads]]
name = "small"
d = 16
dw = 32
heads = 3
n = 64
"""
LARGE = """
[hardware]
b = [2, 4, 8, 16]
l = { from = 1, to = 8 }
program = ["table1", "weights"]
pag = [2, 4]
ahead = [true, false]
[[workloads]]
net = "MiniLM"
n = 512
"""


@pytest.fixture
def space(tmp_path):
    (tmp_path / "space.toml").write_text(SPACE)
    return str(tmp_path / "space.toml")


def run(space, *words):
    folder = os.path.dirname(space)
    where = () if "--workers" in words else ("--workers", "0")
    return main([space, "--cache", f"{folder}/cache", *where, *words])


def test_a_search_and_again(space, tmp_path, capsys):
    from pyarrow import parquet
    assert run(space) == 0
    said = capsys.readouterr().out
    assert "evaluated: 8 points, 8 of them now" in said and "not in question: 2 points, pag is 16" in said
    assert "\n1: cycles " in said and "   hashlayer emit cta --b 8 --d 16 --dw 32" in said
    rows = parquet.read_table(tmp_path / "space.parquet").to_pylist()
    assert len(rows) == 8 and [row["status"] for row in rows].count("failed") == 2
    before = (tmp_path / "space.html").read_text()
    assert run(space, "--report", str(tmp_path / "other.html"), "--results", str(tmp_path / "o.parquet")) == 0
    assert "evaluated: 8 points, 0 of them now" in capsys.readouterr().out
    assert len((tmp_path / "other.html").read_text().splitlines()) == len(before.splitlines())
    assert parquet.read_table(tmp_path / "o.parquet").to_pylist() == rows


@pytest.mark.parametrize("method", ["random", "nsga2", "tpe"])
def test_methods(method, space, capsys):
    pytest.importorskip("optuna", reason="the explore extra is not installed")
    assert run(space, "--method", method, "--points", "5") == 0
    assert f"method: {method}, seed 0" in capsys.readouterr().out


def test_workers_give_the_same_results(space, tmp_path):
    pytest.importorskip("distributed", reason="the explore extra is not installed")
    assert run(space) == 0
    (tmp_path / "again").mkdir()
    other = tmp_path / "again" / "space.toml"
    other.write_text(SPACE)
    assert run(str(other), "--workers", "2") == 0
    assert other.with_suffix(".parquet").read_bytes() == (tmp_path / "space.parquet").read_bytes()


def test_no_feasible_design_is_told(space, capsys, tmp_path):
    with open(space, "a") as file:
        file.write("[constraints]\narea_mm2 = 0.01\n")
    assert run(space) == 1
    captured = capsys.readouterr()
    assert captured.err == "sw.explore: no design is feasible\n" and "area_mm2 is beyond 0.01" in captured.out
    assert (tmp_path / "space.parquet").exists() and (tmp_path / "space.html").exists()


@pytest.mark.parametrize("words, text", [
    (["none.toml"], "none.toml cannot be read"), (["--points", "0"], "points is 0, must be 1 or more"),
    (["--workers", "-1"], "workers is -1, must be 0 or more"),
    (["--report", "none/x.html"], "none/x.html cannot be written: its folder does not exist")])
def test_refused(words, text, space, capsys):
    assert main(words if words[0].endswith(".toml") else [space, *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("sw.explore: ") and text in err and err.count("\n") == 1


def test_what_is_built_is_told(space, capsys, monkeypatch, tmp_path):
    """Designs from both ends of the front; their area is that of the synthesis."""
    asked = []

    def proved(found, number):
        asked.append(number)
        return {"design": number, "verified": number == 1}
    monkeypatch.setattr(command, "verified", proved)
    monkeypatch.setattr(command, "synthesised", lambda found, number: {
        "design": number, "synthesised": True, "mm2": 0.123, "mm2 by the model": found[1]["area_mm2"]})
    assert run(space, "--verify", "2", "--synthesise", "1") == 1
    captured = capsys.readouterr()
    assert len(asked) == 2 and asked[0] == 1 and "1 of 2 designs were not proved" in captured.err
    assert "built design 1, verified True, synthesised True, mm2 0.123" in captured.out
    from pyarrow import parquet
    row = next(row for row in parquet.read_table(tmp_path / "space.parquet").to_pylist()
               if row["area_mm2"] == 0.123)
    assert row["area_why"] == "by synthesis"


def test_a_kill_and_again(tmp_path):
    """SIGKILL in mid-run: what was kept is not evaluated again, and nothing is missing."""
    path = tmp_path / "space.toml"
    path.write_text(LARGE)
    words = [sys.executable, "-m", "sw.explore", str(path), "--cache", str(tmp_path / "cache"),
             "--workers", "0"]
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        kept, end = [], time.monotonic() + 60
        while not kept and time.monotonic() < end:
            time.sleep(0.05)
            kept = [file for file in (tmp_path / "cache").glob("*.jsonl") if file.stat().st_size]
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    before = len(kept[0].read_bytes().splitlines())
    assert before and not path.with_suffix(".parquet").exists()
    done = subprocess.run([*words, "--method", "random", "--points", "120"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("evaluated")]
    fresh = int(line.split(",")[1].split()[0])
    assert 120 - before <= fresh < 120
