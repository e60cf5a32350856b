"""Read what a user hands in, write results; one clear line for whatever is wrong.

What the engines' commands have in common.
"""

import contextlib
import math
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from model import files
from model.border import NotFinite, require_finite
from model.config import json_object
from model.errors import ConfigError

__all__ = ["InputError", "array", "read_npz", "engine", "require_writable", "write_npz",
           "write_bytes", "write_text", "append_line", "write_json", "make_folder", "plain"]


LARGEST = float(np.finfo(np.float32).max)
"""Largest size that is read. A layer multiplies up to six operands, and double precision has room
for six of these; no layer that was trained comes near."""


class InputError(ValueError):
    """Something about the user's input; the message is the one line to print."""


def array(data, key, shape=None):
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
    try:
        require_finite(key, value)
    except NotFinite as error:
        raise InputError(str(error)) from None
    if np.abs(value).max() > LARGEST:
        raise InputError(f"{key} reaches {np.abs(value).max():.3g}, must be at most {LARGEST:.3g}")
    return value


def read_npz(path, keys: tuple, read: Callable):
    """What ``read`` makes of the open file, in which there are no other ``keys``; all that can be
    wrong with it as :class:`InputError`."""
    try:
        with np.load(path, allow_pickle=False) as data:
            if not isinstance(data, np.lib.npyio.NpzFile):
                raise InputError(f"{path} is a single array, must be an .npz")
            for key in data.files:
                if key not in keys:
                    raise InputError(f"key {key!r} is unknown, must be one of {', '.join(keys)}")
            return read(data)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, AttributeError) as error:
        raise InputError(f"{path} is not an .npz file: {error}") from None
    except InputError:
        raise
    except ValueError:
        raise InputError(f"{path} is not an .npz file") from None


def engine(config: type, flags: dict, path=None, **shapes):
    """A configuration: a config file, over it the flags that are not None, the rest from the
    ``shapes`` of the input."""
    settings = {}
    if path:
        try:
            settings = json_object(Path(path).read_text(encoding="utf-8"), f"config {path}")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"config {path} cannot be read: {error}") from None
        except ConfigError as error:
            raise InputError(str(error)) from None
    settings = {**shapes, **settings,
                **{key: value for key, value in flags.items() if value is not None}}
    try:
        return config.from_dict(settings)
    except ConfigError as error:
        raise InputError(str(error)) from None


def require_writable(*paths) -> None:
    """Raise where no file can be: better now than after a simulation."""
    for path in filter(None, paths):
        if not Path(path).absolute().parent.is_dir():
            raise InputError(f"{path} cannot be written: its folder does not exist")
        if Path(path).is_dir():
            raise InputError(f"{path} cannot be written: it is a folder")


@contextlib.contextmanager
def _naming():
    """A file that cannot be written as :class:`InputError`, for the one line of a command."""
    try:
        yield
    except files.FileError as error:
        raise InputError(str(error)) from None


def write_npz(path, arrays: dict) -> None:
    """An ``.npz``, whole or not at all."""
    with _naming(), files.writing(path) as file:
        np.savez_compressed(file, **arrays)


def write_bytes(path, content: bytes) -> None:
    """Any file, whole or not at all."""
    with _naming():
        files.write_bytes(path, content)


def write_text(path, text: str) -> None:
    """A text in UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def append_line(path, line: str) -> None:
    """One more line at the end of a log, which grows and is never written anew."""
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def make_folder(path) -> Path:
    """The folder ``path``, made with its parents where it is not there."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be made: {error.strerror}") from None
    return Path(path)


def plain(data):
    """``data`` for JSON: what is NaN or infinite is undefined and becomes None; numpy's numbers
    and arrays become Python's."""
    if isinstance(data, dict):
        return {key: plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    if isinstance(data, np.ndarray):
        return plain(data.tolist())
    if isinstance(data, np.generic):
        data = data.item()
    return None if isinstance(data, float) and not math.isfinite(data) else data


def write_json(path, data) -> None:
    """A JSON file, whole or not at all; numbers that are none are null."""
    with _naming():
        files.write_json(path, plain(data))
