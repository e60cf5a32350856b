"""The same bytes from every Python, with and without optimisation; every module can be imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.interpreters import VERSIONS, python

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {"cta": ["gen.cta", "--b=2", "--d=8", "--l=2", "--n=8"],
            "lookup": ["gen.lookup", "--d=16", "--h=4", "--tau=3", "--block=4", "--multipliers=8",
                       "--lanes=8", "--batch=3"]}


def emitted(interpreter, flags, engine):
    run = subprocess.run([interpreter, *flags, "-m", *COMMANDS[engine]], cwd=ROOT, text=True,
                         capture_output=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def here():
    """What this interpreter emits, by engine."""
    return {engine: emitted(sys.executable, [], engine) for engine in COMMANDS}


@pytest.mark.reliability
@pytest.mark.parametrize("engine", COMMANDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_bytes(version, engine, here, tried):
    assert emitted(python(version), [], engine) == here[engine]
    tried("interpreters", emissions=1)


@pytest.mark.reliability
@pytest.mark.parametrize("engine", COMMANDS)
def test_the_same_bytes_without_docstrings(engine, here, tried):
    assert emitted(sys.executable, ["-OO"], engine) == here[engine]
    tried("interpreters", emissions=1)


def test_no_positions_no_names():
    """Where Python does not say where a call stands, nothing is emitted under another name."""
    run = subprocess.run([sys.executable, "-X", "no_debug_ranges", "-m", *COMMANDS["cta"]], cwd=ROOT,
                         text=True, capture_output=True)
    assert run.returncode == 2 and run.stdout == ""
    assert "no_debug_ranges" in run.stderr and run.stderr.count("\n") == 1


IMPORT_ALL = """
import importlib, pkgutil, sys
for package in sys.argv[1:]:
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        importlib.import_module(found.name)
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_models_and_generators_are_imported(version):
    run = subprocess.run([python(version), "-W", "error", "-c", IMPORT_ALL, "model", "gen"], cwd=ROOT,
                         text=True, capture_output=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_everything_is_imported_without_docstrings():
    pytest.importorskip("transformers", reason="the hf extra is not installed")
    run = subprocess.run([sys.executable, "-OO", "-c", IMPORT_ALL, "model", "gen", "verif", "sw"],
                         cwd=ROOT, text=True, capture_output=True)
    assert run.returncode == 0, run.stderr
