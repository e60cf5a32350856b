"""Folders of a cache that several builds fill at once, in threads, processes and containers.

A build works in a scratch folder of its own and gives it its final name in one step. Whoever comes
second takes what the first has left. A build that was killed leaves a scratch folder without an
owner, which the next one removes.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from model.files import granted
from sw.io.writing import make_folder

__all__ = ["scratch", "settle", "sweep"]

PREFIX = ".scratch-"
LOCK = ".owner"
YOUNG = 60.0
"""Seconds in which a scratch folder may not have its lock yet."""


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[bool]:
    """Whether nobody else makes, settles or sweeps a scratch folder of ``cache`` meanwhile.

    The lock is on the folder itself and leaves nothing behind. Where a file system has no locks
    (some network mounts) the work goes on without, and nothing is swept.
    """
    handle, held = os.open(cache, os.O_RDONLY), False
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
            held = True
        yield held
    finally:
        # Said in words: a child forked meanwhile has the handle too, and closing would not do.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


@contextlib.contextmanager
def scratch(cache: Path) -> Iterator[Path]:
    """A new folder in ``cache``, which no other build has and which vanishes at the end unless
    :func:`settle` has moved it. Its owner holds a lock, which ends with the process."""
    make_folder(cache)
    sweep(cache)
    # Between making the file and locking it the folder looks like a dead build's: no sweep then.
    with _alone(cache):
        work = Path(tempfile.mkdtemp(prefix=PREFIX, dir=cache))
        lock = open(work / LOCK, "wb")
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        with lock:
            yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def settle(work: Path, folder: Path, product: str) -> None:
    """Make ``work`` the folder ``folder``, unless another build was first with its ``product``."""
    with _alone(folder.parent):
        (work / LOCK).unlink(missing_ok=True)
        work.chmod(granted(0o777))
        while True:
            try:
                # Fails where the folder is there and not empty; it never replaces what is in use.
                work.rename(folder)
                return
            except OSError:
                if (folder / product).exists():
                    return
                if not folder.exists():
                    raise
                # Half a folder, of a version that built in place or of a disk that was full.
                with tempfile.TemporaryDirectory(prefix=PREFIX, dir=folder.parent,
                                                 ignore_cleanup_errors=True) as away:
                    with contextlib.suppress(OSError):
                        folder.rename(Path(away, "broken"))


def sweep(cache: Path) -> None:
    """Remove the scratch folders of builds that are no more."""
    with _alone(cache) as held:
        if held:
            _sweep(cache)


def _sweep(cache: Path) -> None:
    for left in cache.glob(f"{PREFIX}*"):
        try:
            with open(left / LOCK, "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > YOUNG:
                    shutil.rmtree(left, ignore_errors=True)
        except OSError:
            pass                # it has an owner
