"""What the command lines of all packages have in common.

It stands here because every package may import ``model``, and it needs nothing but Python.
"""

import argparse

__all__ = ["Parser"]


class Parser(argparse.ArgumentParser):
    """Usage errors in one line, as all others, and exit status 2; no abbreviated flags.

    The line names the command without ``python -m``, as the refusals of bad input do.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message):
        self.exit(2, f"{self.prog.removeprefix('python -m ')}: {' '.join(message.split())}\n")
