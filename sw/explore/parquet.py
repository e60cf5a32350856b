"""Rows as a Parquet file, one column a dimension, a figure and a reason."""

import io
import json

from sw.explore.engines import FIGURES
from sw.explore.search import Found
from sw.explore.space import Space
from sw.io.errors import InputError
from sw.io.writing import write_bytes

__all__ = ["write_parquet"]


def write_parquet(path, found: list[Found], space: Space, on_front: list[Found]) -> None:
    """All rows, also those that failed. ``losses`` is JSON: shares of the cycles by cause. Raises InputError
    where pyarrow is missing or the file cannot be written."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise InputError("results need pyarrow, which `make setup` installs (extra explore)") from None
    best = {id(row) for _, row in on_front}
    rows = [row for _, row in found]
    words = arrow.string()
    columns = {"status": ([row["status"] for row in rows], words),
               "reason": ([row["reason"] for row in rows], words)}
    for name, choices in space.dimensions.items():
        kind = (arrow.bool_() if all(isinstance(value, bool) for value in choices) else
                arrow.int64() if all(type(value) is int for value in choices) else words)
        columns[name] = ([str(row[name]) if kind == words else row[name] for row in rows], kind)
    for name in (*FIGURES, "useful"):
        columns[name] = ([None if row.get(name) is None else float(row[name]) for row in rows],
                         arrow.float64())
    for name in ("area_why", "energy_why", "error_why"):
        columns[name] = ([row.get(name) for row in rows], words)
    columns["losses"] = ([json.dumps(row["losses"]) if "losses" in row else None for row in rows], words)
    columns["on_front"] = ([id(row) in best for row in rows], arrow.bool_())
    content = io.BytesIO()
    parquet.write_table(arrow.table([arrow.array(values, kind) for values, kind in columns.values()],
                                    names=list(columns)), content)
    write_bytes(path, content.getvalue())
