"""Tables of a report, in columns."""

__all__ = ["rows"]


def rows(columns: tuple[tuple[str, int], ...], values) -> list[str]:
    """A table: the first column flush left, the others flush right."""
    return ["  ".join(str(value).rjust(width) if at else str(value).ljust(width)
                      for at, (value, (_, width)) in enumerate(zip(row, columns)))
            for row in [[name for name, _ in columns], *values]]
