"""Compile a kernel with the compiler that the project needs anyway, once for each kind of CPU.

A build is kept by the digest of source, flags and compiler. It is chosen when it is loaded: the plain one
runs everywhere, those for AVX2 and AVX-512 where the machine has them (``HASHLAYER_KERNEL=plain`` holds to
the plain one).
"""

import ctypes
import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path

from sw.io.build_cache import scratch, settle
from sw.io.errors import InputError
from sw.io.toolchain import ToolError, cache_dir, compiler

__all__ = ["VARIANTS", "load", "source_digest", "variant"]

FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-pthread", "-fwrapv", "-Wno-psabi")
VARIANTS = {"plain": (), "avx2": ("-mavx2", "-mfma"),
            "avx512": ("-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni",
                       "-mprefer-vector-width=512")}
"""Flags of each kind of CPU. The plain one is what the compiler takes for all machines of its kind."""

HERE = Path(__file__).resolve().parent


@cache
def load(name: str, kind: str) -> ctypes.CDLL:
    """The kernel ``name`` for a ``kind`` of CPU; raises :class:`sw.io.errors.InputError` where there is
    no compiler or it fails."""
    try:
        return ctypes.CDLL(str(_built(name, kind)))
    except (OSError, ToolError) as error:
        raise InputError(f"the cpu backend needs a C++ compiler: {error}") from None


def source_digest(name: str) -> str:
    """Of the source of a kernel and of all headers."""
    files = (HERE / f"{name}.cpp", *sorted(HERE.glob("*.h")))
    text = [(path.name, path.read_text("utf-8")) for path in files]
    return hashlib.sha256(repr(text).encode()).hexdigest()[:12]


def _built(name: str, kind: str) -> Path:
    source, command = HERE / f"{name}.cpp", compiler()
    flags = (*FLAGS, *VARIANTS[kind])
    version = subprocess.run([*command, "-dumpfullversion", "-dumpmachine"], text=True,
                             capture_output=True).stdout
    digest = hashlib.sha256(repr((source_digest(name), flags, command, version)).encode()).hexdigest()[:12]
    folder, product = cache_dir() / f"kernel-{name}-{kind}-{digest}", f"{name}.so"
    if not (folder / product).exists():
        with scratch(folder.parent) as work:
            run = subprocess.run([*command, *flags, "-o", work / product, source], text=True,
                                 capture_output=True, errors="replace")
            if run.returncode:
                raise ToolError(f"{command[0]} failed on {source.name}: {run.stderr.strip()[-500:]}")
            settle(work, folder, product)
    return folder / product


@cache
def variant() -> str:
    """The fastest kind of kernel that this machine runs; HASHLAYER_KERNEL names another."""
    asked = os.environ.get("HASHLAYER_KERNEL")
    if asked:
        if asked not in VARIANTS:
            raise InputError(f"HASHLAYER_KERNEL is {asked!r}, must be one of {', '.join(VARIANTS)}")
        return asked
    return list(VARIANTS)[load("lookup", "plain").hl_level()]
