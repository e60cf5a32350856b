"""The table of docs/reliability.md is what the sweeps print: same kinds, same words."""

import ast
import re

import pytest

from tests.reach import ROOT
from tests.reliability import PAGE, recorded, rows

pytestmark = pytest.mark.structure


def counted() -> dict[str, set[str]]:
    """Kinds that tests count, and what they count of each, by reading every call of ``tried``."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tried":
                words = {k.arg and k.arg.replace("_", " ") for k in node.keywords}
                found.setdefault(ast.literal_eval(node.args[0]), set()).update(words)
    return found


def shown() -> dict[str, set[str]]:
    """Kinds of the page, and what was tried of each."""
    table = PAGE.read_text().partition("## What the sweeps tried")[2]
    return {kind: set(re.findall(r"[\d,]+ ([a-z ]+?)(?:,|$)", tried))
            for kind, tried in re.findall(r"^\| (?!kind|---)([^|]+) \| ([^|]+) \|$", table, re.M)}


def test_every_kind_of_the_page_is_counted():
    there = counted()
    assert [kind for kind in shown() if kind not in there] == []
    # ``**counts`` of a test says any word.
    assert {kind: words - there[kind] for kind, words in shown().items()
            if None not in there[kind] and words - there[kind]} == {}


def test_a_record_replaces_what_was_tried(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("A\n\n| kind | tried |\n|---|---|\n| a b | 1 x |\n| c | 2 y |\n\nB\n")
    now = {"c": {"of_it": 1234, "y": 1}, "b": {"z": 0}}
    assert rows(now) == {"b": "0 z", "c": "1,234 of it, 1 y"}
    assert recorded(now, page) == ("A\n\n| kind | tried |\n|---|---|\n| a b | 1 x |\n| b | 0 z |\n"
                                   "| c | 1,234 of it, 1 y |\n\nB\n")
    assert recorded({}) == PAGE.read_text()
