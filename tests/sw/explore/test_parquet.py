import json

import pytest

from sw.explore.cluster import here
from sw.explore.front import front
from sw.explore.parquet import write_parquet
from sw.explore.search import evaluated, grid
from sw.explore.store import Store
from sw.io.errors import InputError
from tests.sw.explore.made import small


def test_every_row_is_there_with_its_kinds(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="the explore extra is not installed")
    space = small(hardware={"ahead": [True, False], "b": [4, 8], "pag": 16, "program": ["table1", "weights"],
                            "k0": 64, "k1": 64, "k2": 64})
    found = list(evaluated(grid(space), Store(tmp_path), here))
    best = front(found, space)
    write_parquet(tmp_path / "x.parquet", found, space, best)
    table = parquet.read_table(tmp_path / "x.parquet")
    kinds = {name: str(table.schema.field(name).type) for name in ("ahead", "b", "program", "cycles")}
    assert kinds == {"ahead": "bool", "b": "int64", "program": "string", "cycles": "double"}
    rows = table.to_pylist()
    assert len(rows) == space.size and sum(row["on_front"] for row in rows) == len(best)
    for (_, row), read in zip(found, rows):
        assert all(read[name] == row.get(name) for name in ("b", "cycles", "energy_why", "status", "reason"))
        assert read["losses"] is None if row["status"] == "failed" else json.loads(read["losses"])


def test_without_pyarrow(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"results need pyarrow, .* \(extra explore\)"):
        write_parquet(tmp_path / "x.parquet", [], small(), [])
