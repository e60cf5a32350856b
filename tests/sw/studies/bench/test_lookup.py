"""The bench of the LookupFFN engine, from the cycle model."""

import json

from sw.studies.bench.__main__ import main


def test_bench_from_the_cycle_model(tmp_path, capsys):
    assert main(["lookup", "--model", "--report", str(tmp_path / "bench.json")]) == 0
    rows = json.loads((tmp_path / "bench.json").read_text())["jobs"]
    assert [row["name"] for row in rows] == [
        "balanced", "gather sets the pace", "without a tile", "table-major", "twice as wide", "- table-major"]
    for row in rows:
        assert row["equal"] is None and row["cycles"] == row["model"]
        assert 1 < row["of_bound"] < 1.05 and 0.6 < row["port_use"] < 1
    assert rows[2]["cycles"] == rows[0]["cycles"]
    wide, table_major = rows[4:]
    assert (wide["multipliers"], wide["lanes"]) == (512, 128) and wide["cycles_per_token"] <= 1.05 * 512
    assert (table_major["batch"], table_major["tokens"]) == (128, 128)
    said = capsys.readouterr().out
    assert "of bound" in said and "cycles from the cycle model" in said
