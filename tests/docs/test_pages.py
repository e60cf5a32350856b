"""What the pages of *How it works* show is what their commands print and draw."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import sw
from docs.site.commands import pages

ROOT = Path(__file__).resolve().parents[2]
HOW = sorted((ROOT / "docs" / "how").glob("*.md"))


def printed(engine: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-m", "docs.site.example", engine],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    return run.stdout.splitlines()


@pytest.mark.parametrize("engine, least", [("cta", 30), ("lookup", 14)])
def test_numbers_are_those_that_are_printed(engine, least):
    """Each line of a block marked ``text`` on the pages of an engine is a line of its example."""
    lines = set(printed(engine))
    shown = [
        line
        for path in HOW
        if path.name.startswith(engine)
        for block in re.findall(r"```text\n(.*?)```", path.read_text("utf-8"), re.S)
        for line in block.splitlines()
        if line
    ]
    assert len(shown) >= least
    assert [line for line in shown if line not in lines] == []


def test_pictures_are_those_of_the_numbers():
    from docs.site.pictures import FOLDER, PICTURES

    for name, draw in PICTURES.items():
        assert (FOLDER / f"{name}.svg").read_text("utf-8") == str(draw()), (
            f"{name}: python -m docs.site.pictures draws it again"
        )


def test_the_waveform_is_that_of_the_table():
    pytest.importorskip("wavedrom", reason="needs the docs extra")
    from docs.site.pictures import FOLDER
    from docs.site.waves import WAVES, render, wavejson

    drawn = render(wavejson(WAVES["ClusterIndex"].table())) + "\n"
    assert (FOLDER / "waveform.svg").read_text("utf-8") == drawn


@pytest.mark.parametrize(
    "block", ["pe", "columns", "pperow", "clusterindex", "probability", "program"]
)
def test_what_a_waveform_shows_is_what_the_block_does(block):
    pytest.importorskip("amaranth", reason="needs the rtl extra")
    from docs.site.waves import WAVES, play

    assert play({name.lower(): wave for name, wave in WAVES.items()}[block], None) > 15


def test_the_readme_is_short_and_its_python_is_that_of_the_page():
    readme = (ROOT / "README.md").read_text("utf-8")
    page = (ROOT / "docs" / "start" / "model.md").read_text("utf-8")
    assert len(readme.splitlines()) <= 120
    assert re.findall(r"```python\n.*?```", readme, re.S) == re.findall(
        r"```python\n.*?```", page, re.S
    )


def unknown(text):
    """Files and modules of ours that a text names in code and that are not there.

    Of a dotted name the last two parts may be a class and its member. `model.x` may be a field of a file.
    """
    exported = {f"sw.{name}" for name in sw.__all__}
    for name in re.findall(r"`([\w./]+)`", text):
        if re.match(r"(rtl|gen|model|verif|synth|sw|tests|docs)/", name):
            if not (ROOT / name).exists():
                yield name
        elif re.match(r"((gen|verif|synth|sw|tests)\.(?!py$)|model\.\w+\.)[a-z_]+[\w.]*$", name):
            parts = name.split(".")
            places = [ROOT.joinpath(*parts[:depth]) for depth in range(len(parts), len(parts) - 3, -1)]
            there = [p for p in places[:len(parts) - 1] if p.is_dir() or p.with_suffix(".py").is_file()]
            if not there and name not in exported:
                yield name


def test_what_a_text_names_is_there():
    """A decision speaks of its day, and so does the changelog."""
    for page in pages():
        if "decisions" not in page.parts and page.name != "CHANGELOG.md":
            assert not list(unknown(page.read_text("utf-8"))), page
    assert list(unknown("`sw/adapters.py` `sw.nowhere.at.all` `gen/cta` `sw.cli.main` `2.0`")) == [
        "sw/adapters.py", "sw.nowhere.at.all"]


def test_the_picture_of_the_rooms_is_that_of_the_imports():
    """Every arrow goes down; rooms in a circle would have no floor."""
    from docs.site import rooms

    assert rooms.FILE.read_text("utf-8") == str(rooms.draw()), "python -m docs.site.rooms draws it again"
    graph = rooms.taken()
    level = rooms.floors(graph)
    assert all(level[other] < level[name] for name, below in graph.items() for other in below)
    assert {"model", "gen", "verif", "synth", "sw.sim", "sw.studies"} <= graph.keys()
    with pytest.raises(ValueError, match="rooms in a circle: .'a', 'b'."):
        rooms.floors({"a": {"b"}, "b": {"a"}, "c": set()})
