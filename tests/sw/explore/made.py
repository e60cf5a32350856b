"""Small spaces for the tests of the search."""

from sw.explore.space import Space, space

__all__ = ["DATA", "small"]

DATA = {
    "engine": "cta", "minimise": ["cycles", "area_mm2"],
    "hardware": {"b": [4, 8], "pag": [4, 16], "sets": [1, 2], "k0": 64, "k1": 64, "k2": 64},
    "choices": {"point": ["CTA-0", "exact"]},
    "workloads": [{"name": "small", "d": 16, "dw": 32, "heads": 3, "n": 64, "layers": 2}]}
"""16 points, 4 of which cannot be: 16 exponentials a cycle are too many for 4 columns."""


def small(**changes) -> Space:
    """The space of :data:`DATA`, some of its keys changed."""
    return space(DATA | changes)
