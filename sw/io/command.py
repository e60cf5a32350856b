"""What the command lines have in common."""

import argparse

__all__ = ["Parser"]


class Parser(argparse.ArgumentParser):
    """Usage errors in one line, as all others; no abbreviated flags."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")
