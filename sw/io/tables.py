"""Tables on a terminal."""

__all__ = ["line", "heading"]


def line(columns, values) -> str:
    """One row: ``columns`` are (name, width); the first is flush left."""
    return "  ".join(str(value).rjust(width) if at else str(value).ljust(width)
                     for at, (value, (_, width)) in enumerate(zip(values, columns)))


def heading(columns) -> str:
    """The row of names."""
    return line(columns, [name for name, _ in columns])
