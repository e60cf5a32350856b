"""Read a head from an ``.npz``, and the engine it asks for."""

from dataclasses import dataclass

import numpy as np

from model.cta.config import CTAConfig
from sw.io.configuration import engine
from sw.io.errors import InputError
from sw.io.npz import array, read_npz

__all__ = ["HeadFile", "read_head", "make_config"]

TOKENS_MAX = 2048
DEFAULT_TOKENS = 512
KEYS = ("x", "xq", "xkv", "wq", "wk", "wv", "bq", "bk", "bv", "a", "b", "w", "meta")


@dataclass(frozen=True)
class HeadFile:
    """The contents of a head file as float64. ``a b w`` are None where the file has none.

    A key bias shifts all scores of a query alike and cancels in the softmax: ``bk`` is read,
    checked and dropped.
    """

    xq: np.ndarray
    xkv: np.ndarray
    wq: np.ndarray
    wk: np.ndarray
    wv: np.ndarray
    bq: np.ndarray
    bv: np.ndarray
    a: np.ndarray | None
    b: np.ndarray | None
    w: np.ndarray | None


def read_head(path) -> HeadFile:
    """Read and check a head file; raises :class:`InputError`."""
    return read_npz(path, KEYS, _read)


def _read(data) -> HeadFile:
    has_x = "x" in data.files
    if has_x == ("xkv" in data.files) or ("xq" in data.files) != ("xkv" in data.files):
        raise InputError("tokens must come as x (self-attention), or as xq and xkv")
    for key in ("wq", "wk", "wv"):
        if key not in data.files:
            raise InputError(f"key {key!r} is missing")
    wq = array(data, "wq", (None, None))
    dw, d = wq.shape
    wk, wv = (array(data, key, (dw, d)) for key in ("wk", "wv"))
    if has_x:
        xq = xkv = array(data, "x", (None, dw))
    else:
        xq, xkv = (array(data, key, (None, dw)) for key in ("xq", "xkv"))
    bias = {key: array(data, key, (d,)) if key in data.files else np.zeros(d)
            for key in ("bq", "bk", "bv")}

    a = b = w = None
    if "a" in data.files:
        a = array(data, "a")
        if a.ndim == 2:
            a = np.stack([a] * 3)
        if a.ndim != 3 or a.shape[0] != 3 or a.shape[2] != dw:
            raise InputError(f"a has shape {data['a'].shape}, must be (l, {dw}) or (3, l, {dw})")
    if "b" in data.files:
        b = array(data, "b", (3, None if a is None else a.shape[1]))
    if "w" in data.files:
        w = array(data, "w", (3,))
        if (w <= 0).any():
            raise InputError(f"w is {w.tolist()}, must be above 0")
    return HeadFile(xq, xkv, wq, wk, wv, bias["bq"], bias["bv"], a, b, w)


def make_config(head: HeadFile, flags: dict, path=None) -> CTAConfig:
    """The engine for a head: a config file, over it the flags, the rest from the shapes."""
    dw, d = head.wq.shape
    most = max(len(head.xq), len(head.xkv))
    given = head.a if head.a is not None else head.b
    functions = None if given is None else given.shape[1]
    shapes = {} if functions is None else {"l": functions}
    cfg = engine(CTAConfig, flags, path, d=d, dw=dw,
                 n=max(min(most, TOKENS_MAX), DEFAULT_TOKENS), **shapes)
    if (cfg.dw, cfg.d) != (dw, d):
        raise InputError(f"wq has shape {(dw, d)}, the engine is built for (dw, d) = "
                         f"{(cfg.dw, cfg.d)}")
    if functions not in (None, cfg.l):
        raise InputError(f"a or b has {functions} hash functions, the engine is built for "
                         f"l = {cfg.l}")
    if most > cfg.n:
        raise InputError(f"there are {most} tokens, the engine is built for at most n = {cfg.n}")
    return cfg
