"""Both kernels under the sanitizers of the compiler, and built by another compiler.

A run is a process of its own: the sanitizer's library has to be there before Python is.
"""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from sw.io.toolchain import compiler
from sw.kernels import build
from tests.reach import ROOT

RUN = """
import sys
from pathlib import Path
import numpy as np
from sw.kernels import build
from tests.sw.kernels import test_floats, test_lookup
kind, count, build.HERE = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
build.load.cache_clear()        # the tests have asked for a kernel already
rng = np.random.default_rng(0)
for _ in range(count):
    cfg = test_lookup.random_config(rng)
    tokens, saturating = int(rng.integers(1, 100)), bool(rng.integers(2))
    weights, job = test_lookup.random_job(cfg, rng, tokens, saturating=saturating)
    test_lookup.same(cfg, weights, job, kind=kind, **test_lookup.any_walk(rng))
    cfg = test_floats.random_config(rng)
    layer = test_floats.random_layer(cfg, rng, int(rng.integers(1, 100)))
    if len(layer.x):
        for entries in test_floats.MOST:
            test_floats.compare(cfg, layer, entries, kind, **test_lookup.any_walk(rng))
print("equal")
"""

SANITIZERS = {
    "address": ("-fsanitize=address -g", "asan", {"ASAN_OPTIONS": "detect_leaks=0"}),
    "undefined": ("-fsanitize=undefined -fno-sanitize-recover=undefined -g", "ubsan", {}),
    "thread": ("-fsanitize=thread -g", "tsan", {"TSAN_OPTIONS": "halt_on_error=1 exitcode=66"}),
}
FAULTS = {
    "address": ("floats.cpp", "room.room(size_t(to - from) * size_t(wide))", "room.room(1)"),
    "undefined": ("lookup_hash.h", "magnitude[j] = most(value, -value);",
                  "magnitude[j + 16] = most(value, -value);"),
    "thread": ("lookup.cpp", "if (mine[e]) counts[e] += mine[e];", "events[e] += mine[e] + 1;"),
}


def library(name: str) -> str | None:
    """Where the compiler has the library of a sanitizer, or None."""
    path = subprocess.run([*compiler(), f"-print-file-name=lib{name}.so"], text=True,
                          capture_output=True).stdout.strip()
    return path if os.path.isabs(path) else None


def run(kind: str, cache, command: str, count: int, preload: str | None = None,
        sources=build.HERE, **others):
    env = {**os.environ, "CXX": command, "HASHLAYER_CACHE": str(cache), "PYTHONPATH": str(ROOT),
           "OPENBLAS_NUM_THREADS": "1", **others}
    if preload:
        env["LD_PRELOAD"] = preload
    # Without random addresses, which a sanitizer of threads may not have room for.
    still = ["setarch", "-R"] if shutil.which("setarch") else []
    return subprocess.run([*still, sys.executable, "-c", RUN, kind, str(count), str(sources)], cwd=ROOT,
                          text=True, env=env, capture_output=True, timeout=1800)


def sanitized(name, kind, cache, count, sources=build.HERE):
    flags, wanted, options = SANITIZERS[name]
    found = library(wanted)
    if found is None:
        pytest.skip(f"the compiler has no lib{wanted}.so")
    return run(kind, cache, f"{shlex.join(compiler())} {flags}", count, found, sources, **options)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["plain", build.variant()])
@pytest.mark.parametrize("name", SANITIZERS)
def test_nothing_is_found(name, kind, tmp_path):
    done = sanitized(name, kind, tmp_path, 25)
    assert done.returncode == 0 and done.stdout == "equal\n", done.stderr[-3000:]


@pytest.mark.nightly
@pytest.mark.parametrize("name", SANITIZERS)
def test_a_fault_is_found(name, tmp_path):
    """In a copy of the sources with a fault of the kind."""
    where, old, new = FAULTS[name]
    for path in (*build.HERE.glob("*.h"), *build.HERE.glob("*.cpp")):
        shutil.copy(path, tmp_path)
    source = tmp_path / where
    text = source.read_text()
    assert text.count(old) == 1, "the line that was to be broken is gone"
    source.write_text(text.replace(old, new))
    done = sanitized(name, "plain", tmp_path / "cache", 12, tmp_path)
    assert done.returncode and ("Sanitizer" in done.stderr or "runtime error" in done.stderr), done.stderr


@pytest.mark.nightly
@pytest.mark.parametrize("command", ["clang++", "g++"])
def test_another_compiler(command, tmp_path):
    if not shutil.which(command):
        pytest.skip(f"{command} is not installed")
    for kind in dict.fromkeys(["plain", build.variant()]):
        done = run(kind, tmp_path, command, 10)
        assert done.returncode == 0 and done.stdout == "equal\n", done.stderr[-3000:]
