"""The C++ compiler of the machine, and where what it makes is kept."""

import os
import shlex
from pathlib import Path

__all__ = ["ToolError", "cache_dir", "compiler"]


class ToolError(Exception):
    """A simulator or the compiler is missing or failed; the message holds its last lines."""


def cache_dir() -> Path:
    """Where builds are kept: HASHLAYER_CACHE, build/ of a checkout, or the user's cache."""
    if os.environ.get("HASHLAYER_CACHE"):       # empty is not set: never the current folder
        return Path(os.environ["HASHLAYER_CACHE"])
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").exists():
        return root / "build"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "hashlayer"


def compiler() -> list[str]:
    """The C++ compiler and its arguments: CXX, as a shell would take it apart, or g++."""
    try:
        words = shlex.split(os.environ.get("CXX", ""))
    except ValueError as error:
        raise ToolError(f"CXX is {os.environ['CXX']!r}, must be a command: {error}") from None
    return words or ["g++"]
