"""What the command lines of all packages have in common.

It stands here because every package may import ``model``, and it needs nothing but Python.
"""

import argparse
import functools
import sys
from collections.abc import Callable

__all__ = ["Parser", "refusing"]


class Parser(argparse.ArgumentParser):
    """Usage errors in one line, as all others, and exit status 2; no abbreviated flags.

    The line names the command without ``python -m``, as the refusals of bad input do.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message):
        self.exit(2, f"{self.prog.removeprefix('python -m ')}: {' '.join(message.split())}\n")


def refusing(name: str, *refusals: type[Exception]) -> Callable:
    """For a command's ``main``, which gives its exit status or None for 0: one of the exceptions
    ``refusals`` becomes the line ``name: reason`` and status 2."""
    def around(main):
        @functools.wraps(main)
        def command(argv=None) -> int:
            try:
                return main(argv) or 0
            except refusals as error:
                print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
                return 2
        return command
    return around
