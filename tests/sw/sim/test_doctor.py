"""The report on what is installed."""

import re
import sys

import pytest

from sw.sim import doctor
from sw.sim.doctor import NEEDS, Need, report


def test_all_is_named(capsys):
    assert doctor.main([]) == 0
    out = capsys.readouterr().out
    assert re.match(r"hashlayer \S", out)
    assert all(re.search(rf"^  {re.escape(need.name)} ", out, re.M) for need in NEEDS)
    assert re.search(r"^  python +3\.\d+\.\d+", out, re.M)
    assert re.search(r"^  numpy +\d+\.\d+", out, re.M)


def test_what_is_missing_says_what_it_would_give():
    here = Need("here", lambda: "1.2", "much", "nowhere", core=True)
    text, whole = report((here, Need("gone", lambda: None, "pictures", "pip install gone")))
    assert whole and text.splitlines() == [
        "  here  1.2", "  gone  missing; gives pictures (pip install gone)"]


def test_without_the_core_the_status_is_a_failure(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "NEEDS", (Need("core", lambda: None, "all", "any", core=True),))
    monkeypatch.setattr(doctor.report, "__defaults__", (doctor.NEEDS,))
    assert doctor.main([]) == 1
    assert capsys.readouterr().err == "sw.sim.doctor: the core is not complete\n"


@pytest.mark.parametrize("script, found", [
    ("echo 'Yosys 0.38+92 (git sha1 a)'", "0.38+92"), ("echo tool version 12.0 >&2", "12.0"),
    ("exit 1", None), ("true", None)])
def test_a_tool_tells_its_version(script, found, tmp_path, monkeypatch):
    tool = tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    said = doctor._said("tool", "-V")
    assert said == (None if found is None else f"{found}, {tool}")


def test_a_compiler_of_ones_own_and_none(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    assert doctor._compiler() is None
    monkeypatch.setenv("CXX", "'unclosed")
    assert doctor._compiler() is None


def test_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    assert doctor._python() is None
