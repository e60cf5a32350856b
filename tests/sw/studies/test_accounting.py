"""``python -m sw.studies.accounting``: the paper's figures for whoever asks."""

import json

import pytest

from sw.studies import accounting


def test_table(capsys):
    assert accounting.main(["--h", "256", "--tau", "8", "--block", "64"]) == 0
    out = capsys.readouterr().out
    for text in ("d 512, h 256, tau 8, block 64, 4 copies of BH4", "1,384,448", "4,194,304",
                 "128.00 MiB in single precision", "32.00 MiB stored"):
        assert text in out, out


def test_json(capsys, tmp_path):
    (tmp_path / "config.json").write_text('{"projection": "dense", "h": 4}')
    assert accounting.main(["--json", "--config", str(tmp_path / "config.json"), "--h", "128"]) == 0
    assert json.loads(capsys.readouterr().out)["flop"] == 2 * 128 * 8 * 512 + 2 * 128 * 512


@pytest.mark.parametrize("flags, message", [(["--d", "9"], "d is 9, must be a multiple of 8"),
                                            (["--d", "x"], "d is 'x', must be an integer"),
                                            (["--taus", "3"], "unrecognized arguments")])
def test_bad_input(capsys, flags, message):
    try:
        status = accounting.main(flags)
    except SystemExit as stop:
        status = stop.code
    err = capsys.readouterr().err
    assert status == 2 and message in err and err.count("\n") == 1
