"""Benches run outside pytest: what they take from our own modules has to exist all the same."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

pytestmark = pytest.mark.structure

ROOT = Path(__file__).resolve().parents[2]
OWN = ("model", "gen", "verif")
FILES = sorted((ROOT / "verif").rglob("*.py"))


def missing(tree) -> list[str]:
    """Names of our own modules that a file uses and that are not there."""
    modules, wrong = {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in OWN:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if (ROOT / (full.replace(".", "/") + ".py")).exists():
                    modules[alias.asname or alias.name] = import_module(full)
                elif not hasattr(import_module(node.module), alias.name):
                    wrong.append(full)
    # A name that the file also binds itself is no longer the module.
    bound = {node.id for node in ast.walk(tree)
             if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = node.value.id
            if name in modules and name not in bound and not hasattr(modules[name], node.attr):
                wrong.append(f"{modules[name].__name__}.{node.attr}")
    return wrong


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(ROOT)) for p in FILES])
def test_names_exist(path):
    assert missing(ast.parse(path.read_text())) == []


def test_the_scan_sees_a_wrong_name():
    assert missing(ast.parse("from verif import runner\nrunner.config()")) == \
        ["verif.runner.config"]
    assert missing(ast.parse("from verif.bench import configuration")) == \
        ["verif.bench.configuration"]
