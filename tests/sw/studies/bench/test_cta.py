"""The bench of the CTA engine, from the cycle model."""

import json

from model.cta.cost import OPERATING_POINTS
from sw.studies.bench.__main__ import main


def test_bench_from_the_cycle_model(tmp_path, capsys):
    assert main(["--model", "--report", str(tmp_path / "bench.json")]) == 0
    rows = json.loads((tmp_path / "bench.json").read_text())["jobs"]
    points = ["CTA-0", "CTA-0.5", "CTA-1", "exact"]
    assert [r["name"] for r in rows] == points + [f"{point}, again" for point in points]
    for r, point in zip(rows, OPERATING_POINTS):
        assert (r["k0"], r["k1"], r["k2"]) == (point.k0, point.k1, point.k2)
        assert sum(p["cycles"] for p in r["phases"].values()) == r["cycles"]
        assert all(0 < p["useful"] <= 1 for p in r["phases"].values())
    for first, again in zip(rows[:4], rows[4:]):
        saved = first["phases"]["compress"]["cycles"] - again["phases"]["compress"]["cycles"]
        assert first["cycles"] - again["cycles"] == saved
        assert (saved > 0) == (first["name"] != "exact")      # which clusters nothing
    assert "of ideal" in capsys.readouterr().out
