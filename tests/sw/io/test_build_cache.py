"""A cache that threads, processes and containers fill at once; paths and compilers of every kind."""

import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from gen.emit import emit
from sw.io import build_cache
from sw.io.build_cache import scratch, settle, sweep
from sw.sim import verilator
from sw.sim.verilator import ToolError
from tests.sw.sim.test_engine import Echo


def put(work, product, text):
    """A product as a build leaves it, in the scratch folder."""
    (work / product).write_text(text)


@pytest.mark.reliability
@pytest.mark.parametrize("builds", [2, 8])
def test_builds_at_once(tmp_path, builds, tried):
    """All find the product; one of them has made it, and nothing is left over."""
    inside, folder = threading.Barrier(builds, timeout=20), tmp_path / "cache" / "x-1"
    outcomes = []

    def build(number):
        try:
            with scratch(folder.parent) as work:
                put(work, "x", str(number))
                inside.wait()                      # all have built before one settles
                settle(work, folder, "x")
            outcomes.append((folder / "x").read_text())
        except BaseException as error:             # noqa: BLE001 - the test tells
            outcomes.append(repr(error))

    threads = [threading.Thread(target=build, args=(n,)) for n in range(builds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == builds and len(set(outcomes)) == 1 and outcomes[0].isdigit(), outcomes
    assert [p.name for p in folder.parent.iterdir()] == ["x-1"]
    assert [p.name for p in folder.iterdir()] == ["x"]
    tried("cache", builds_at_once=builds)


def test_the_window_before_the_rename(tmp_path, monkeypatch):
    """Another build settles between the look and the rename: its folder stays, and is taken."""
    folder = tmp_path / "x-1"
    with scratch(tmp_path) as late:
        put(late, "x", "late")
        with scratch(tmp_path) as early:
            put(early, "x", "early")
            settle(early, folder, "x")
        settle(late, folder, "x")
    assert (folder / "x").read_text() == "early"


@pytest.mark.reliability
@pytest.mark.parametrize("step", ["mkdtemp", "flock"])
def test_the_window_before_the_lock(tmp_path, monkeypatch, step, tried):
    """Another build begins, and sweeps, just before a scratch folder has its owner's lock."""
    real = {"mkdtemp": build_cache.tempfile.mkdtemp, "flock": fcntl.flock}[step]
    owner, others, swept = threading.current_thread(), [], threading.Event()

    def other():
        sweep(tmp_path)
        swept.set()

    def pause(*args, **kwargs):
        own = step == "mkdtemp" or str(getattr(args[0], "name", "")).endswith(build_cache.LOCK)
        if threading.current_thread() is owner and own and not others:
            if step == "mkdtemp":
                made = real(*args, **kwargs)
                os.utime(made, (0, 0))               # as if its build were long dead
            others.append(threading.Thread(target=other))
            others[0].start()
            swept.wait(.5)                           # the time that it would take
            return made if step == "mkdtemp" else real(*args, **kwargs)
        return real(*args, **kwargs)

    module = build_cache.tempfile if step == "mkdtemp" else build_cache.fcntl
    monkeypatch.setattr(module, step, pause)
    with scratch(tmp_path) as work:
        others[0].join(20)
        assert swept.is_set() and work.is_dir()
        put(work, "x", "whole")
        settle(work, tmp_path / "x-1", "x")
    assert (tmp_path / "x-1" / "x").read_text() == "whole"
    tried("cache", forced_windows=1)


@pytest.mark.reliability
def test_many_rounds_of_builds_at_once(tmp_path, tried):
    """The windows nobody thought of: fresh caches, eight builds each, as fast as it goes."""
    rounds, errors = 40, []
    for number in range(rounds):
        cache = tmp_path / str(number)
        inside = threading.Barrier(8, timeout=20)

        def build(cache=cache, inside=inside):
            try:
                with scratch(cache) as work:
                    put(work, "x", "whole")
                    inside.wait()
                    settle(work, cache / "x-1", "x")
                assert (cache / "x-1" / "x").read_text() == "whole"
            except BaseException as error:             # noqa: BLE001 - the test tells
                inside.abort()
                errors.append(repr(error))

        threads = [threading.Thread(target=build) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [p.name for p in cache.iterdir()] == ["x-1"]
    assert not errors, errors[0]
    tried("cache", builds_at_once=8 * rounds)


def test_the_window_of_half_a_folder(tmp_path, monkeypatch):
    """Two builds find half a folder; the later one must not carry the other's whole one away."""
    (tmp_path / "x-1").mkdir()
    (tmp_path / "x-1" / "part").write_text("of a build in place")
    real, others, done = build_cache.tempfile.TemporaryDirectory, [], threading.Event()
    told = []

    def other():
        with scratch(tmp_path) as work:
            put(work, "x", "early")
            settle(work, tmp_path / "x-1", "x")
        told.append((tmp_path / "x-1" / "x").read_text())
        done.set()

    def pause(*args, **kwargs):
        if not others:
            others.append(threading.Thread(target=other))
            others[0].start()
            done.wait(.5)
        return real(*args, **kwargs)

    monkeypatch.setattr(build_cache.tempfile, "TemporaryDirectory", pause)
    with scratch(tmp_path) as work:
        put(work, "x", "late")
        settle(work, tmp_path / "x-1", "x")
    others[0].join(20)
    assert told == [(tmp_path / "x-1" / "x").read_text()]


def test_half_a_folder_is_replaced(tmp_path):
    (tmp_path / "x-1").mkdir()
    (tmp_path / "x-1" / "part").write_text("of a build in place")
    with scratch(tmp_path) as work:
        put(work, "x", "whole")
        settle(work, tmp_path / "x-1", "x")
    assert [p.name for p in (tmp_path / "x-1").iterdir()] == ["x"]
    assert [p.name for p in tmp_path.iterdir()] == ["x-1"]


def test_a_killed_build_is_swept_and_a_running_one_is_not(tmp_path, monkeypatch):
    code = ("import sys, time; from pathlib import Path; from sw.io.build_cache import scratch\n"
            "with scratch(Path(sys.argv[1])): print('in', flush=True); time.sleep(60)")
    child = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    child.stdout.readline()
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1      # its owner is alive
    child.kill()
    child.wait()
    sweep(tmp_path)
    assert not list(tmp_path.iterdir())
    unlocked = tmp_path / f"{build_cache.PREFIX}young"
    unlocked.mkdir()
    sweep(tmp_path)
    assert unlocked.is_dir()                       # perhaps about to be locked
    os.utime(unlocked, (time.time() - 1000,) * 2)
    sweep(tmp_path)
    assert not unlocked.exists()


def test_the_lock_is_the_owner_s(tmp_path):
    with scratch(tmp_path) as work, open(work / build_cache.LOCK, "rb") as lock:
        with pytest.raises(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.reliability
@pytest.mark.nightly
def test_processes_at_once(tmp_path, tried):
    """Four processes compile one component into one empty cache."""
    code = ("from tests.sw.sim.test_engine import Echo; from sw.sim.engine import *\n"
            "run = build_component(Echo(), 'echo').run(Script().reset().push('i', 4).wait('o', 1))\n"
            "print(run.received)")
    children = [subprocess.Popen([sys.executable, "-c", code], text=True, stdout=subprocess.PIPE,
                                 env=os.environ | {"HASHLAYER_CACHE": str(tmp_path)})
                for _ in range(4)]
    assert {child.communicate()[0] for child in children} == {"{'o': [5]}\n"}
    assert not list(tmp_path.glob(".*"))
    tried("cache", processes_at_once=4)


@pytest.mark.reliability
def test_a_path_with_spaces_and_a_compiler_with_arguments(tmp_path, monkeypatch, tried):
    """Cache, temporary folder and compiler of a kind that shells take apart."""
    odd = tmp_path / "a b é"
    (odd / "tmp dir").mkdir(parents=True)
    wrapper = odd / "my compiler"
    wrapper.write_text('#!/bin/sh\nexec "$@"\n')
    wrapper.chmod(0o755)
    code = ("from tests.sw.sim.test_engine import Echo; from sw.sim.engine import *\n"
            "run = build_component(Echo(), 'echo').run(Script().reset().push('i', 4).wait('o', 1))\n"
            "print(run.received)")
    env = os.environ | {"HASHLAYER_CACHE": str(odd / "my cache"), "TMPDIR": str(odd / "tmp dir"),
                        "CXX": f"'{wrapper}' g++ -O0"}
    run = subprocess.run([sys.executable, "-c", code], env=env, text=True, capture_output=True)
    assert (run.returncode, run.stdout) == (0, "{'o': [5]}\n"), run.stderr
    tried("paths", builds=1)


def test_an_empty_cache_folder_is_none(monkeypatch):
    """A variable that is set to nothing must not fill the current folder."""
    monkeypatch.delenv("HASHLAYER_CACHE", raising=False)
    default = verilator.cache_dir()
    monkeypatch.setenv("HASHLAYER_CACHE", "")
    assert verilator.cache_dir() == default


@pytest.mark.parametrize("value, words", [("", ["g++"]), ("  ", ["g++"]), ("g++ -m64", ["g++", "-m64"]),
                                          ("ccache g++", ["ccache", "g++"]),
                                          ("'a b/g++' -O0", ["a b/g++", "-O0"])])
def test_compilers(value, words, monkeypatch):
    monkeypatch.setenv("CXX", value)
    assert verilator.compiler() == words


@pytest.mark.parametrize("value", ["", " ", "{w}", "{w} g++", "'{w}'", "'{w}' g++", "none -O2", "'",
                                   "/", "/bin/ls -l"])
def test_make_accepts_the_compilers_that_a_build_does(value, monkeypatch, tmp_path):
    """``make prerequisites`` takes CXX apart as the build does."""
    (tmp_path / "a b").mkdir()
    wrapper = tmp_path / "a b" / "c++"
    wrapper.write_text('#!/bin/sh\nexec "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("CXX", value.format(w=wrapper))
    run = subprocess.run(["make", "-s", "prerequisites", f"PYTHON={sys.executable}"],
                         cwd=verilator.HERE.parents[1], text=True, capture_output=True)
    try:
        found = bool(shutil.which(verilator.compiler()[0]))
    except ToolError:
        found = False
    assert (run.returncode == 0) == found, run.stdout
    assert found or "needs a C++ compiler" in run.stdout and "Traceback" not in run.stderr


@pytest.mark.parametrize("value, text", [("'", "CXX is \"'\", must be a command"),
                                         ("no-such-compiler -O2", "'no-such-compiler' is not on PATH"),
                                         ("/", "needs a C.. compiler; '/'")])
def test_compilers_that_are_none(value, text, monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", value)
    monkeypatch.setenv("HASHLAYER_CACHE", str(tmp_path))
    with pytest.raises(ToolError, match=text):
        verilator.build("echo", emit(Echo()), "echo")
