"""The bench of the CPU kernels on a small layer: every variant, and a fault that must show."""

import json

import numpy as np
import pytest

from model.lookup.config import LookupConfig
from sw.kernels import lookup
from sw.studies.bench import cpu
from sw.studies.bench.__main__ import main
from sw.studies.bench.cpu_rivals import registry

SMALL = LookupConfig(d=64, h=8, tau=4, block=16)
OURS = ("kernel fp32", "kernel bf16", "kernel int8", "integers")


@pytest.fixture(autouse=True)
def two_rivals(monkeypatch):
    kept = {name: registry.USERS[name] for name in ("torch fp32", "torch int8", "torch bf16")}
    kept["absent"] = lambda *others: __import__("no_such_package")
    monkeypatch.setattr(cpu, "USERS", kept)
    registry._say.cache_clear()


def test_a_row_for_each_variant(capsys):
    rows = cpu.measure(SMALL, 5, 1, seconds=0)
    assert [row["variant"] for row in rows] == ["torch fp32", "torch int8", "torch bf16", *OURS]
    assert "absent is left out: ModuleNotFoundError" in capsys.readouterr().out
    for row in rows:
        assert row["tokens"] == 5 and row["threads"] == 1 and row["seconds_cpu"] > 0
        assert row["config"] == {"d": 64, "h": 8, "tau": 4, "block": 16}
        assert row["equal"] is (True if row["variant"] in OURS else None)
        assert ("seconds_hash" in row) == (row["variant"] in OURS)
    assert rows[0]["ratio_fp32"] == 1 and rows[1]["ratio_int8"] == 1


def test_a_kernel_that_differs_is_seen(monkeypatch):
    real = lookup.Kernel.run

    def wrong(self, *others, **how):
        result = real(self, *others, **how)
        result.y[0, 0] += 1
        return result
    monkeypatch.setattr(lookup.Kernel, "run", wrong)
    assert [row["equal"] for row in cpu.measure(SMALL, 2, 1, seconds=0)][-4:] == [True, True, True, False]


def test_the_command(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cpu, "CONFIGS", (SMALL,))
    path = tmp_path / "cpu.json"
    assert main(["cpu", "--tokens", "3", "--threads", "1", "--threads", "2", "--json", str(path)]) == 0
    rows = json.loads(path.read_text())
    assert {row["threads"] for row in rows} == {1, 2}
    assert np.isfinite([row["ratio_fp32"] for row in rows]).all()
    assert "integers" in capsys.readouterr().out
    assert main(["cpu", "--tokens", "0"]) == 2
    assert "--tokens is 0, must be at least 1" in capsys.readouterr().err


def test_the_paper_s_rivals_and_the_roofline(monkeypatch, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.setattr(cpu, "CONFIGS", (SMALL,))
    path, picture = tmp_path / "cpu.json", tmp_path / "roofline.png"
    assert main(["cpu", "--tokens", "3", "--paper", "--roofline", str(picture), "--json", str(path)]) == 0
    assert set(registry.PAPER) <= {row["variant"] for row in json.loads(path.read_text())}
    out = capsys.readouterr().out
    assert "slide/fp32" in out and "of rows" in out and picture.stat().st_size > 1000
