"""Read a head from an ``.npz``, write results; one clear line for whatever is wrong."""

import json
import os
import tempfile
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from model.cta.config import CTAConfig, ConfigError

__all__ = ["InputError", "HeadFile", "read_head", "make_config", "write_npz", "write_json"]

TOKENS_MAX = 2048
DEFAULT_TOKENS = 512
KEYS = ("x", "xq", "xkv", "wq", "wk", "wv", "bq", "bk", "bv", "a", "b", "w", "meta")


class InputError(ValueError):
    """Something about the user's input; the message is the one line to print."""


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


def _array(data, key, shape=None):
    """One entry as finite float64 of a shape, in which None stands for any size above 0."""
    try:
        value = data[key]
    except ValueError:
        raise InputError(f"{key} holds Python objects, must be numbers") from None
    if value.dtype.kind not in "fiu":
        raise InputError(f"{key} has dtype {value.dtype}, must be real numbers")
    value = value.astype(np.float64)
    if shape is not None:
        text = "(" + ", ".join("any" if s is None else str(s) for s in shape) + \
               (",)" if len(shape) == 1 else ")")
        if value.ndim != len(shape) or any(s not in (None, v) for s, v in zip(shape, value.shape)):
            raise InputError(f"{key} has shape {value.shape}, must be {text}")
    if value.size == 0:
        raise InputError(f"{key} is empty, its shape is {value.shape}")
    if not np.isfinite(value).all():
        what = "NaN" if np.isnan(value).any() else "infinite values"
        raise InputError(f"{key} has {what}, must be finite")
    return value


def read_head(path) -> HeadFile:
    """Read and check a head file; raises :class:`InputError`."""
    try:
        with np.load(path, allow_pickle=False) as data:
            if not isinstance(data, np.lib.npyio.NpzFile):
                raise InputError(f"{path} is a single array, must be an .npz")
            return _read(data)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (zipfile.BadZipFile, OSError, EOFError, AttributeError) as error:
        raise InputError(f"{path} is not an .npz file: {error}") from None
    except InputError:
        raise
    except ValueError:
        raise InputError(f"{path} is not an .npz file") from None


def _read(data) -> HeadFile:
    for key in data.files:
        if key not in KEYS:
            raise InputError(f"key {key!r} is unknown, must be one of {', '.join(KEYS)}")
    has_x = "x" in data.files
    if has_x == ("xkv" in data.files) or ("xq" in data.files) != ("xkv" in data.files):
        raise InputError("tokens must come as x (self-attention), or as xq and xkv")
    for key in ("wq", "wk", "wv"):
        if key not in data.files:
            raise InputError(f"key {key!r} is missing")
    wq = _array(data, "wq", (None, None))
    dw, d = wq.shape
    wk, wv = (_array(data, key, (dw, d)) for key in ("wk", "wv"))
    if has_x:
        xq = xkv = _array(data, "x", (None, dw))
    else:
        xq, xkv = (_array(data, key, (None, dw)) for key in ("xq", "xkv"))
    bias = {key: _array(data, key, (d,)) if key in data.files else np.zeros(d)
            for key in ("bq", "bk", "bv")}

    a = b = w = None
    if "a" in data.files:
        a = _array(data, "a")
        if a.ndim == 2:
            a = np.stack([a] * 3)
        if a.ndim != 3 or a.shape[0] != 3 or a.shape[2] != dw:
            raise InputError(f"a has shape {data['a'].shape}, must be (l, {dw}) or (3, l, {dw})")
    if "b" in data.files:
        b = _array(data, "b", (3, None if a is None else a.shape[1]))
    if "w" in data.files:
        w = _array(data, "w", (3,))
        if (w <= 0).any():
            raise InputError(f"w is {w.tolist()}, must be above 0")
    return HeadFile(xq, xkv, wq, wk, wv, bias["bq"], bias["bv"], a, b, w)


def make_config(head: HeadFile, flags: dict, path=None) -> CTAConfig:
    """The engine for a head: a config file, over it the flags, the rest from the shapes."""
    settings = {}
    if path:
        try:
            settings = json.loads(Path(path).read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"config {path} cannot be read: {error}") from None
        except json.JSONDecodeError as error:
            raise InputError(f"config {path} is not JSON: {error}") from None
        if not isinstance(settings, dict):
            raise InputError(f"config {path} is {type(settings).__name__}, must be an object")
    settings.update({key: value for key, value in flags.items() if value is not None})
    dw, d = head.wq.shape
    most = max(len(head.xq), len(head.xkv))
    settings.setdefault("d", d)
    settings.setdefault("dw", dw)
    settings.setdefault("n", max(min(most, TOKENS_MAX), DEFAULT_TOKENS))
    given = head.a if head.a is not None else head.b
    functions = None if given is None else given.shape[1]
    if functions is not None:
        settings.setdefault("l", functions)
    try:
        cfg = CTAConfig.from_dict(settings)
    except ConfigError as error:
        raise InputError(str(error)) from None
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"config is malformed: {error}") from None
    if (cfg.dw, cfg.d) != (dw, d):
        raise InputError(f"wq has shape {(dw, d)}, the engine is built for (dw, d) = "
                         f"{(cfg.dw, cfg.d)}")
    if functions not in (None, cfg.l):
        raise InputError(f"a or b has {functions} hash functions, the engine is built for "
                         f"l = {cfg.l}")
    if most > cfg.n:
        raise InputError(f"there are {most} tokens, the engine is built for at most n = {cfg.n}")
    return cfg


def _atomic(path, write):
    """Write to a temporary file beside ``path`` and move it there: whole or not at all."""
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
    try:
        # mkstemp makes the file private; give it what open() would have.
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(handle, 0o666 & ~mask)
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"{path} cannot be written: {error.strerror}") from None
        raise


def write_npz(path, arrays: dict) -> None:
    """An ``.npz``, whole or not at all."""
    _atomic(path, lambda file: np.savez_compressed(file, **arrays))


def write_json(path, data) -> None:
    """A JSON file, whole or not at all."""
    _atomic(path, lambda file: file.write((json.dumps(data, indent=2) + "\n").encode()))


STRUCTURE = tuple(f.name for f in fields(CTAConfig) if f.name != "fmt")
"""The structural parameters, each of which is a flag of the command line."""
