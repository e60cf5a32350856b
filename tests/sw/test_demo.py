"""Demo and bench on the models alone: tables, pictures, the formula of Table I."""

import json

import numpy as np
import pytest

from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.layout import TRACE_FIELDS, TraceOp, pack_fields
from sw import bench, demo
from sw.head_file import read_head
from sw.pictures import uses_of_trace
from sw.table1 import OPERATING_POINTS, ideal_cycles, table1_cycles, useful_macs

CFG = CTAConfig()


def test_shipped_head():
    head = read_head(demo.HEAD)
    assert head.xq.shape == (512, 64) and head.wq.shape == (64, 64)
    with np.load(demo.HEAD) as data:
        assert json.loads(str(data["meta"]))["made_by"].startswith("python -m sw.train_demo")
    assert demo.HEAD.stat().st_size < 400_000


def test_demo_without_rtl(tmp_path, capsys):
    assert demo.main(["--rtl", "none", "-o", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for point in OPERATING_POINTS:
        row = next(line for line in lines if line.startswith(point.name + " ")).split()
        assert [int(v) for v in row[1:4]] == pytest.approx([point.k0, point.k1, point.k2], abs=2)
    for name in ("attention.png", "compression.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_bench_from_the_cycle_model(tmp_path, capsys):
    assert bench.main(["--model", "--report", str(tmp_path / "bench.json")]) == 0
    rows = json.loads((tmp_path / "bench.json").read_text())["jobs"]
    assert [r["name"] for r in rows] == ["CTA-0", "CTA-0.5", "CTA-1", "exact"]
    for r, point in zip(rows, OPERATING_POINTS):
        assert (r["k0"], r["k1"], r["k2"]) == (point.k0, point.k1, point.k2)
        assert sum(p["cycles"] for p in r["phases"].values()) == r["cycles"]
        assert all(0 < p["useful"] <= 1 for p in r["phases"].values())
    assert "of ideal" in capsys.readouterr().out


@pytest.mark.parametrize("k0, k, cycles", [(322, 287, 33575), (272, 265, 27267), (200, 241, 20220)])
def test_table1_at_even_levels(k0, k, cycles):
    """The paper does not split k; with the levels even the formula was priced by hand."""
    assert table1_cycles(CFG, 512, k0, k // 2, -(-k // 2)) == pytest.approx(cycles, abs=1)


def test_ideal_and_useful():
    assert ideal_cycles(CFG, 512) == 77824
    assert sum(useful_macs(CFG, 512, 322, 258, 29).values()) == \
        (322 + 2 * 287) * 64**2 + 2 * 322 * 287 * 64 + 3 * 6 * 512 * 64


def test_trace_gives_the_uses_back():
    """Written as the trace port would show them, the cycle model's uses are read as they were."""
    cfg = CTAConfig(b=4, d=8, n=32, l=3)
    result = head_cycles(cfg, 32, 32, 20, 15, 6)
    hashes = 0
    words = [dict() for _ in range(result.total)]
    for use in result.uses:
        hashes += use.what == "HASH"
        for cycle in range(use.start, min(use.end, result.total)):
            if use.unit == "SA":
                words[cycle]["sa"] = TraceOp[use.what]
                words[cycle]["lsh"] = hashes % 3 if use.what == "HASH" else 2
            else:
                words[cycle][use.unit.lower()] = 1
    packed = [pack_fields(TRACE_FIELDS, word) for word in words]
    changes = [(c, w) for c, w in enumerate(packed) if c == 0 or w != packed[c - 1]]
    uses = uses_of_trace(changes, result.total)
    array = [(u.what, u.start, u.end) for u in uses if u.unit == "SA"]
    assert array == [(u.what, u.start, u.end) for u in result.uses if u.unit == "SA"]
    for unit in ("CIM", "CACC", "CAVG", "PAG", "drain"):
        busy, want = (sorted({c for u in found if u.unit == unit
                              for c in range(u.start, min(u.end, result.total))})
                      for found in (uses, result.uses))
        assert busy == want
