"""A line on the terminal while a generator works for longer than a moment."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

__all__ = ["progress"]

QUIET = 2.0
"""Seconds without a line."""


@contextlib.contextmanager
def progress(program: str) -> Iterator[Callable[[str], None]]:
    """``report(what)`` shows what is being done, in one line of stderr that goes away at the end.

    Nothing is shown in the first two seconds, nor where stderr is no terminal. This is all that
    gen needs of a progress bar, and it would need a package for it.
    """
    start, shown = time.monotonic(), 0

    def report(what: str) -> None:
        nonlocal shown
        seconds = time.monotonic() - start
        if sys.stderr.isatty() and seconds > QUIET:
            line = f"{program}: {seconds:3.0f} s, {what}"
            sys.stderr.write(f"\r{line:{shown}}")
            sys.stderr.flush()
            shown = len(line)

    try:
        yield report
    finally:
        if shown:
            sys.stderr.write(f"\r{'':{shown}}\r")
            sys.stderr.flush()
