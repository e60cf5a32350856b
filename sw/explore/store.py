"""Rows on disk by the digest of their point, kept from run to run: what has been evaluated once is read.

A file of lines that only grows. A kill leaves a line that is cut short at worst, which the next run drops;
several runs may write to one file.
"""

import contextlib
import fcntl
import json
from pathlib import Path

from sw.explore.evaluation import Row, models_stamp
from sw.explore.space import Point, digest
from sw.io.errors import InputError
from sw.io.toolchain import cache_dir
from sw.io.writing import make_folder, plain

__all__ = ["Store", "default_folder"]


def default_folder() -> Path:
    """Where rows of all spaces are kept."""
    return cache_dir() / "explore"


class Store:
    """The rows of the models as they are now; those of other models are in other files.

    ``folder`` is made where it is not there. Raises InputError where it cannot be.
    """

    def __init__(self, folder: Path):
        self.stamp = models_stamp()
        self.path = make_folder(folder) / f"rows-{self.stamp}.jsonl"
        self.rows: dict[str, Row] = {}
        try:
            with open(self.path, "ab+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.seek(0)
                whole = 0
                for line in file:
                    if not line.endswith(b"\n"):        # cut short, if only by its end
                        break
                    whole += len(line)
                    with contextlib.suppress(ValueError, KeyError, TypeError):      # of a damaged line
                        one = json.loads(line)
                        self.rows[one["digest"]] = one["row"]
                file.truncate(whole)
        except OSError as error:
            raise InputError(f"{self.path} cannot be used: {error.strerror}") from None

    def key(self, point: Point) -> str:
        """The digest of a point."""
        return digest(point, self.stamp)

    def get(self, point: Point) -> Row | None:
        """The row of a point, or None where it has not been evaluated."""
        return self.rows.get(self.key(point))

    def add(self, points: list[Point], rows: list[Row]) -> list[Row]:
        """Keep some rows; gives them as they will be read. A fault of ours is not kept: the next run tries it
        again."""
        kept = [plain(row) for row in rows]
        lines = []
        for point, row in zip(points, kept, strict=True):
            if not (row["reason"] or "").startswith("fault"):
                self.rows[self.key(point)] = row
                lines.append(json.dumps({"digest": self.key(point), "row": row}) + "\n")
        try:
            with open(self.path, "ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write("".join(lines).encode())
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror}") from None
        return kept
