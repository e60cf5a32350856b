"""Write results through :mod:`model.files`; what cannot be written is the user's to know in one line."""

import contextlib
import math
from pathlib import Path

import numpy as np

from model import files
from sw.io.errors import InputError

__all__ = ["require_writable", "write_npz", "write_bytes", "write_text", "append_line", "write_json",
           "make_folder", "plain"]


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
