"""Shapes that the area model is fitted to and tested on: small ones for the most part, since they are quick.

Every parameter that the counts in ``model.cta.area`` and ``model.lookup.area`` depend on takes several
values, and the default engines are among those fitted, so that nobody has to go far beyond them.
"""

__all__ = ["FITTED", "HELD_OUT", "Shape"]

Shape = tuple[str, dict]
"""An engine and the parameters of its configuration."""


def _cta(b: int, d: int, l: int, n: int, **more) -> Shape:  # noqa: E741 - the paper's name
    return "cta", {"b": b, "d": d, "l": l, "n": n, **more}


def _lookup(d: int, h: int, tau: int, block: int, multipliers: int, lanes: int, **more) -> Shape:
    return "lookup", {"d": d, "h": h, "tau": tau, "block": block, "multipliers": multipliers,
                      "lanes": lanes, **more}


FITTED: tuple[Shape, ...] = (
    _cta(8, 64, 6, 512), _cta(2, 8, 2, 16), _cta(2, 16, 4, 32), _cta(4, 16, 6, 64), _cta(4, 8, 3, 40, dw=24),
    _cta(8, 16, 6, 64), _cta(4, 32, 6, 128), _cta(2, 32, 3, 256, digit=4), _cta(8, 32, 6, 128),
    _cta(4, 32, 6, 128, dw=128), _cta(4, 16, 8, 64, pag=4), _cta(16, 8, 6, 64),
    _cta(4, 8, 6, 512, sets=2, lanes=4), _cta(2, 64, 6, 256),
    _cta(2, 8, 6, 32), _cta(4, 8, 2, 24, pag=2),
    _lookup(512, 128, 8, 64, 256, 64), _lookup(16, 4, 3, 4, 8, 8, batch=3),
    _lookup(32, 8, 4, 8, 16, 8, batch=4), _lookup(64, 16, 4, 16, 64, 16, batch=8),
    _lookup(32, 8, 4, 8, 16, 16, batch=4, neighbours=True),
    _lookup(64, 16, 4, 16, 32, 8, projection="dense"),
    _lookup(32, 8, 4, 8, 8, 8, tables="internal", outstanding=16),
    _lookup(32, 4, 5, 4, 16, 4, residual=True))

HELD_OUT: tuple[Shape, ...] = (
    _cta(4, 16, 5, 96), _cta(8, 8, 4, 48), _cta(2, 16, 6, 128, dw=64), _cta(8, 32, 8, 256),
    _cta(4, 64, 6, 256), _cta(8, 16, 6, 128, pag=8),
    _lookup(32, 4, 5, 8, 16, 8), _lookup(16, 8, 6, 8, 8, 4), _lookup(64, 8, 4, 16, 32, 8),
    _lookup(48, 12, 4, 8, 32, 16, residual=True))
