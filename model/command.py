"""What the command lines of all packages have in common.

It stands here because every package may import ``model``, and it needs nothing but Python.
"""

import argparse
import dataclasses
import functools
import re
import sys
from collections.abc import Callable

__all__ = ["Parser", "add_parameters", "given", "refusing"]


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


def _number(text: str):
    """An integer where it is one; the configuration refuses the rest by name."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else text


def add_parameters(parser: argparse.ArgumentParser, config: type, **defaults: str) -> None:
    """A flag for every parameter and constant of a configuration class; None where it is not given.

    ``defaults`` say for the help where a parameter comes from that this command takes from elsewhere.
    Values are taken as they stand: the configuration refuses what is not legal, and names the range.
    """
    kinds = {field.name: field.type for field in dataclasses.fields(config)}
    for name, text in config.parameter_help(**defaults).items():
        if kinds[name] in (bool, "bool"):
            parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=text)
        else:
            number = kinds[name] in (int, "int")
            parser.add_argument(f"--{name}", type=_number if number else str,
                                metavar="N" if number else "WORD", help=text)


def given(config: type, arguments: argparse.Namespace) -> dict:
    """The parameters of :func:`add_parameters` that a command line gives."""
    return {name: value for name in config.parameter_help()
            if (value := getattr(arguments, name)) is not None}
