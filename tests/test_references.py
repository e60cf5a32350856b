"""Every source that the project names can be found by its readers: a rule over the texts."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.structure

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("gen", "model", "verif", "sw", "synth", "rtl", "docs")
TEXTS = {".py", ".md", ".v", ".vlt", ".cpp", ".json", ".toml"}

# A section of notes by number, a path of somebody's machine, a number in somebody's tracker.
OUTSIDE = re.compile(r"\bnotes [0-9]|\bnotes\.md|(?<![\w.}>])/(?:work|root|home)/\w"
                     r"|\bissue #?[0-9]+\b", re.I)
DOCUMENT = re.compile(r"\bdocs/[\w/-]+\.md\b|\bdocs/decisions/\d{4}[\w-]*")


def texts(rooms=ROOMS):
    """(path, text) of every text of the rooms, and of those at the top."""
    found = [path for room in rooms for path in sorted((ROOT / room).rglob("*"))]
    for path in [*found, *sorted(ROOT.glob("*"))]:
        if path.suffix in TEXTS and path.is_file():
            yield path.relative_to(ROOT).as_posix(), path.read_text()


def test_no_text_refers_to_what_is_not_here():
    found = [f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {hit[0]}"
             for name, text in texts() for hit in OUTSIDE.finditer(text)]
    assert not found, "give the paper's section, or the reason"


def test_documents_that_are_named_exist():
    """``docs/numerics.md``, ``docs/decisions/0003``: by their whole name or by their number."""
    missing = [f"{name}: {hit}" for name, text in texts() for hit in DOCUMENT.findall(text)
               if not (ROOT / hit).exists() and not list((ROOT / hit).parent.glob(
                   (ROOT / hit).name + "*.md"))]
    assert not missing


@pytest.mark.parametrize("text, wrong", [
    ("Source: Sec. IV-B(1); notes 2.2 (10) for the maximum.", True),
    ("see notes.md", True), ("kept in /work/shared", True), ("as issue 9 asks", True),
    ("Source: Sec. IV-B(1), eq. 8.", False), ("notes in config.json", False),
    ("issues 2 rows", False), ("verif/work/x", False)])
def test_the_scan_sees_a_reference(text, wrong):
    assert bool(OUTSIDE.search(text)) == wrong
