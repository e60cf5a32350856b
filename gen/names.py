"""Signals named after what they are assigned to, the same under every interpreter.

Amaranth reads the name of a signal out of the byte code behind the call that makes it, which
changes from one Python to the next: 3.13 joins instructions, and signals lose their names. Here
the name comes from the source: a call that is the whole value of an assignment, or an element of a
tuple that is, is called as its first target. While Verilog is emitted, this takes the place of
Amaranth's own.
"""

import ast
import contextlib
import linecache
import sys
from functools import cache

from amaranth import tracer

from model.errors import ConfigError

__all__ = ["stable_names", "require_names"]

_RAISE = object()


def require_names() -> None:
    """Raise ConfigError where the interpreter does not tell where a call stands."""
    if None in _ends(require_names.__code__)[-1]:
        raise ConfigError("Python is without positions in its code (-X no_debug_ranges or "
                          "PYTHONNODEBUGRANGES), by which signals are named, must be with them")


@cache
def _targets(file: str) -> dict[tuple[int, int], str] | None:
    """Names in a file by the end (line, column) of the call they are given to; None without source."""
    source = "".join(linecache.getlines(file))
    if not source:
        return None
    names = {}

    def give(target, value):
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            if len(target.elts) == len(value.elts):
                for pair in zip(target.elts, value.elts):
                    give(*pair)
        elif isinstance(value, ast.Call):
            name = getattr(target, "id", getattr(target, "attr", None))
            if name is not None:
                names[value.end_lineno, value.end_col_offset] = name

    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assign(targets=[target, *_], value=value):
                give(target, value)
            case ast.AnnAssign(target=target, value=value) | ast.NamedExpr(target=target,
                                                                            value=value):
                give(target, value)
    return names


@cache
def _ends(code) -> list[tuple]:
    """End (line, column) of what each instruction is for."""
    return [(line, column) for _, line, _, column in code.co_positions()]


def _name(depth=2, default=_RAISE):
    """As ``amaranth.tracer.get_var_name``."""
    frame = sys._getframe(depth)
    names = _targets(frame.f_code.co_filename)
    if names is None:
        return _AMARANTH(depth + 1, default) if default is not _RAISE else _AMARANTH(depth + 1)
    end = _ends(frame.f_code)[frame.f_lasti // 2]
    if end in names:
        return names[end]
    if default is _RAISE:
        raise tracer.NameNotFound
    return default


_AMARANTH = tracer.get_var_name


@contextlib.contextmanager
def stable_names():
    """Within: signals are named from the source."""
    before, tracer.get_var_name = tracer.get_var_name, _name
    try:
        yield
    finally:
        tracer.get_var_name = before
