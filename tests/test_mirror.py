"""Tests mirror the sources: who looks for the tests of a file knows where they are."""

from pathlib import Path

import pytest

from tests.reach import ROOT

pytestmark = pytest.mark.structure

WHOLE = {
    "tests": "rules and commands of the whole project",
    "tests/rtl": "engines as a whole on their Verilog",
}
"""Folders of tests that belong to no single source."""

OF_SEVERAL = {
    "docs/test_commands.py": "the commands of all pages",
    "docs/test_pages.py": "the pages of How it works together",
    "gen/test_mutants.py": "tests/gen/mutants.py, on which other tests rest",
    "gen/lookup/test_gather_cycles.py": "gather and hash together against model/lookup/gather_cycles.py",
    "sw/test_borders.py": "a rule over all rooms of the software",
    "sw/demo/test_same_everywhere.py": "the demo on other instruction sets and thread counts",
    "sw/exported/test_attached.py": "from a host model to the engines",
    "sw/exported/test_damage.py": "exports that writer and reader must not take",
    "sw/exported/test_engine.py": "hooks and layer in a model",
    "sw/exported/test_export.py": "writer and reader against each other",
    "sw/exported/test_stream.py": "codec against the drivers of sw/sim",
    "sw/kernels/test_sanitizers.py": "both kernels under sanitizers and other compilers",
    "sw/nn/test_attached_state.py": "attached models saved, copied, wrapped and tampered with",
    "sw/policy/test_policy.py": "plan and search",
    "sw/quant/test_events.py": "saturations on the way from fake to export",
    "sw/quant/test_four_levels.py": "one layer on torch, fake, golden model and RTL",
    "sw/run/test_extremes.py": "head and layer on any file",
    "sw/sim/test_records.py": "what the drivers of both engines read back",
    "verif/test_names.py": "all benches",
}
"""Test files inside a room that hold several sources against each other, and which."""


def source(test: Path) -> list[Path]:
    """Where the source of a test file may stand: a module, a package, a page."""
    room, name = test.parent, test.stem.removeprefix("test_")
    found = [ROOT / room / f"{name}.py", ROOT / room / name]
    if room == Path("docs"):
        found += [ROOT / "docs" / f"{name}.md", ROOT / f"{name.upper()}.md"]
    return found


def written() -> list[Path]:
    return sorted(path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py"))


def strays(files) -> list[str]:
    """Test files of which nothing says what they belong to."""
    return [test.as_posix() for test in files
            if not any(path.exists() for path in source(test))
            and (Path("tests") / test.parent).as_posix() not in WHOLE
            and test.as_posix() not in OF_SEVERAL]


def test_every_test_file_has_its_source():
    assert strays(written()) == [], "name it after its source, or say in OF_SEVERAL what it holds"


def test_every_folder_of_tests_is_a_room():
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder).is_dir()] == []


def test_what_is_named_is_there_and_has_no_source_of_its_own():
    there = {test.as_posix() for test in written()}
    assert set(OF_SEVERAL) <= there
    assert [name for name in OF_SEVERAL if any(path.exists() for path in source(Path(name)))] == []


def test_the_scan_sees_a_stray():
    assert strays([Path("model/cta/test_nothing.py")]) == ["model/cta/test_nothing.py"]
    assert strays([Path("model/cta/test_head.py"), Path("docs/test_readme.py")]) == []
    assert strays([Path("rtl/test_head.py"), Path("sw/nn/test_head.py")]) == ["sw/nn/test_head.py"]
