"""All rivals by name. One that needs a package that is not installed, or that fails to build, is left out.

A maker takes (torch, d, x, threads), x (t, d) torch's tokens, and gives a call without arguments that
computes all of them once.
"""

from collections.abc import Callable
from functools import cache

from sw.studies.bench.cpu_rivals import dense, hashed, onnx_runtime, yoso

__all__ = ["PAPER", "USERS", "rivals"]


def _layer(name: str) -> Callable:
    """A layer of :mod:`sw.nn.ffn` as it is: nothing of it could be done beforehand."""
    def make(torch, d, x, threads):
        from sw.nn.ffn.registry import make_ffn
        layer = make_ffn(name, d, seed=0).eval()
        return lambda: layer(x)
    return make


USERS: dict[str, Callable] = {
    "torch fp32": dense.vanilla, "torch bf16": dense.bf16, "torch int8": dense.int8,
    "torch.compile": dense.compiled, "onnx fp32": onnx_runtime.fp32, "onnx int8": onnx_runtime.int8}
"""What a user would run instead: the same network, d -> 4 d -> d with GELU."""

PAPER: dict[str, Callable] = {
    "slide": hashed.slide, "mongoose": hashed.mongoose, "yoso": yoso.yoso,
    "switch": _layer("switch"), "shuffle": _layer("shuffle")}
"""What the LookupFFN paper compares with, in single precision, at the sizes of its Table 1."""


@cache
def _say(what: str) -> None:
    """Once."""
    print(what)


def rivals(d: int, x, threads: int, makers: dict[str, Callable] | None = None) -> dict[str, Callable]:
    """Calls by name, in the order of ``makers`` (default: :data:`USERS`); ``x`` (t, d) are torch's tokens."""
    torch, found = dense.require_torch(), {}
    for name, make in (USERS if makers is None else makers).items():
        try:
            found[name] = make(torch, d, x, threads)
        except Exception as error:              # of a package that we do not know: it is no rival here
            reason = (str(error).splitlines() or [""])[0][:80]
            _say(f"{name} is left out: {type(error).__name__}: {reason}")
    return found
