"""The layers of a checkpoint, exported by a command."""

import pytest

from sw.exported.reader import entries
from sw.quant.export import main


def test_a_layer_of_the_shipped_checkpoint(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("the engine hashes tokens and adds what is alike\n" * 4000)
    folder = tmp_path / "made" / "export"
    assert main(["-o", str(folder), "--layer", "layers.2.attention.heads", "--text", str(text),
                 "--calibration", "1"]) == 0
    assert "layers.2.attention.heads: cta\n" in capsys.readouterr().out
    assert [entry.name for entry in entries(folder)] == ["layers.2.attention.heads"]


@pytest.mark.parametrize("words, said", [
    (["-o", "x", "--calibration", "0"], "calibration is 0, must be at least 1"),
    (["no-such-folder", "-o", "x"], "no-such-folder"),
    (["-o", "FULL"], "FULL")])
def test_refusals_are_a_line(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FULL").mkdir()
    (tmp_path / "FULL" / "own").write_text("mine")
    assert main(words) == 2
    err = capsys.readouterr().err
    line, = [line for line in err.splitlines() if "stays in float" not in line]
    assert line.startswith("sw.quant.export: ") and said in line
    assert (tmp_path / "FULL" / "own").read_text() == "mine" and not (tmp_path / "x").exists()
