import json

import pytest

from model.cta.config import CTAConfig
from model.cta.cost import OPERATING_POINTS, POINT_TOKENS
from model.cta.cycles import head_cycles
from sw.reproduce.command import main


def test_one_figure_with_all_that_is_written(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    assert main(["table1", "--pictures", str(tmp_path / "img"), "--page", str(tmp_path / "page.md"),
                 "--report", str(tmp_path / "x.json")]) == 0
    said = capsys.readouterr().out
    point = OPERATING_POINTS[0]
    cycles = head_cycles(CTAConfig(), POINT_TOKENS, POINT_TOKENS, point.k0, point.k1, point.k2,
                         shared_a=True).total
    assert f"{cycles:,}" in said and "not reproduced" not in said
    assert (tmp_path / "img" / "table1.png").read_bytes()[:4] == b"\x89PNG"
    assert "](img/table1.png)" in (tmp_path / "page.md").read_text()
    (figure,) = json.loads((tmp_path / "x.json").read_text())
    assert figure["entries"][0] == {"what": "cycles of a head, CTA-0", "paper": 33460, "here": cycles,
                                    "digits": ",.0f", "ratio": cycles / 33460}


def test_all(capsys):
    assert main([]) == 0
    assert "not reproduced here" in capsys.readouterr().out


@pytest.mark.parametrize("words, text", [
    (["fig99"], "name is 'fig99', must be one of table1, fig12-throughput"),
    (["table1", "--page", "x.md"], "--page needs --pictures FOLDER"),
    (["table1", "--report", "none/x.json"], "none/x.json cannot be written")])
def test_refused(words, text, capsys):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith("sw.reproduce: ") and text in err and err.count("\n") == 1


def test_without_matplotlib(monkeypatch, tmp_path, capsys):
    import sys
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["table1", "--pictures", str(tmp_path)]) == 2
    assert "pictures need matplotlib" in capsys.readouterr().err
