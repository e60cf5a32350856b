"""Figures of the papers and ours, as the command shows them."""

import json

import pytest

from sw.rivals.__main__ import main
from sw.rivals.figures import figures
from tests.sw.rivals.made import shipped


def test_every_figure_is_near_that_of_its_paper():
    """Within 7%: hash and pipeline exactly or nearly, the rest as far as averages of the papers tell."""
    found = figures(shipped())
    assert len(found) == 11
    for each in found:
        assert each.here == pytest.approx(each.paper, rel=0.07), each.what
    assert [each.here for each in found if each.what.startswith("A3")] == [987, 329]


def test_command(tmp_path, capsys):
    assert main(["--figures", "--json", str(tmp_path / "figures.json")]) == 0
    out = capsys.readouterr().out
    assert "CTA Sec. VI-C: over ELSA-Aggressive + V100, CTA-1" in out and "recalled" in out
    assert len(json.loads((tmp_path / "figures.json").read_text())["figures"]) == 11
