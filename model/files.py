"""Files that a user keeps, written whole or not at all.

Every room writes through here: Verilog and manifests (gen), caches (verif), exports, checkpoints,
reports and pictures (sw). The content goes into a file beside the target, is flushed to the disk
and takes the target's name in one step, so a full disk, a kill or a power cut leaves yesterday's
file as it was.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["FileError", "granted", "writing", "write_bytes", "write_text", "json_text", "write_json"]


class FileError(OSError):
    """A file that cannot be written; the message names it and the system's reason."""

    def __init__(self, path, error: OSError):
        super().__init__(f"{path} cannot be written: {error.strerror or error}")
        self.path, self.strerror = Path(path), error.strerror or str(error)


@contextlib.contextmanager
def writing(path) -> Iterator[BinaryIO]:
    """An open binary file that becomes ``path`` when the block ends well, and vanishes if not.

    A symbolic link keeps pointing where it does; a new file gets the permissions that ``open``
    would give, an old one keeps its own. What is no regular file (a pipe, ``/dev/stdout``,
    ``/dev/null``) cannot be replaced and is written straight.

    Raises FileError where the system refuses; other exceptions of the block pass through.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            with target.open("wb") as file:
                yield file
            return
        target = Path(os.path.realpath(target))
        if target.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    except OSError as error:
        raise FileError(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            os.chmod(temporary, _mode(target))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        # An error of reading inside the block is not one of writing this file.
        if isinstance(error, OSError) and error.filename in (None, temporary):
            raise FileError(path, error) from error
        raise
    _sync_folder(target.parent)


def _mode(target: Path) -> int:
    """Permissions of ``target``, or those that ``open`` would give to a new file."""
    if target.exists():
        return target.stat().st_mode & 0o7777
    return granted(0o666)


def granted(mode: int) -> int:
    """``mode`` less what the process's umask takes: the permissions of what is made anew."""
    # The mask can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mode & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, where the system can open a folder."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_bytes(path, content: bytes) -> None:
    """``content`` as ``path``, whole or not at all; raises FileError."""
    with writing(path) as file:
        file.write(content)


def write_text(path, text: str) -> None:
    """``text`` in UTF-8 as ``path``, whole or not at all; raises FileError."""
    write_bytes(path, text.encode())


def json_text(data) -> str:
    """``data`` as indented JSON that ends with a newline.

    Raises ValueError for NaN and infinities, which JSON does not have: write null instead.
    """
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def write_json(path, data) -> None:
    """``data`` as a JSON file, whole or not at all; raises FileError, or ValueError as
    ``json_text`` does."""
    write_text(path, json_text(data))
