"""``hashlayer record``: what it refuses; what it records is held in tests/synth/test_energy.py."""

import pytest

from sw.run.record import main


@pytest.mark.parametrize("words, message", [
    (["cta", "nowhere.npz", "-o", "out.npz"], "nowhere.npz does not exist"),
    (["cta", "nowhere.npz", "-o", "out.npz", "--instances", "65"], "instances is 65, must be in 1..64"),
    (["lookup", "nowhere.npz", "-o", "out.npz", "--instances", "0"], "instances is 0, must be in 1..64")])
def test_refusals(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith("record: ") and message in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
