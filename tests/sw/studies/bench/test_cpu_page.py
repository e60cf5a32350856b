"""Tables from rows: figures a token, what holds and what does not, and a file that is none."""

import json

import pytest

from sw.studies.bench.__main__ import main


def rows(tokens, threads=1, **seconds):
    return [{"config": {"d": 512}, "threads": threads, "seconds_wall": value / threads**2, "tokens": tokens,
             "variant": name.replace("_", " "), "seconds_cpu": value} for name, value in seconds.items()]


def test_tables_and_what_was_asked_for(tmp_path, capsys):
    path = tmp_path / "cpu.json"
    path.write_text(json.dumps(
        rows(1, torch_fp32=1e-3, torch_int8=5e-4, kernel_fp32=6e-4, integers=1e-4, slide=2e-3)
        + rows(2048, torch_fp32=0.1, torch_int8=0.05, kernel_fp32=0.02, integers=0.025)))
    assert main(["cpu", "--tables", str(path)]) == 0
    out = capsys.readouterr().out
    assert "| 1 | 1,000.0 | 500.0 | 600.0 | 100.0 | 10.00 | 5.00 | 1.67 |" in out
    assert "| 1 | 1,000.0 | 2,000.0 |" in out and "| 2,048 | 48.8 | - |" in out
    assert "| integers, from 1 tokens on: 2.5 of torch fp32 | 4.00 at 2,048 | holds |" in out
    assert "| kernel fp32, from 1 tokens on: 1.8 of torch fp32 | 1.67 at 1 | **missed** |" in out
    assert "| integers, from 2,048 tokens on: 4.8 of torch fp32 | 4.00 at 2,048 | **missed** |" in out
    assert "| kernel fp32, from 2,048 tokens on: 4.0 of torch fp32 | 5.00 at 2,048 | holds |" in out
    assert "| integers, from 2,048 tokens on: 3.4 of torch int8 | 2.00 at 2,048 | **missed** |" in out


def test_threads(tmp_path, capsys):
    path = tmp_path / "cpu.json"
    path.write_text(json.dumps(rows(2048, torch_fp32=1, integers=0.5)
                               + rows(2048, 2, torch_fp32=1, integers=0.625)))
    assert main(["cpu", "--tables", str(path)]) == 0
    assert "| 2,048 | integers | 0.80 | 1.60 |" in capsys.readouterr().out


@pytest.mark.parametrize("content, message", [
    (None, "cannot be read: No such file or directory"), ("[{}]", "is not what"), ("{", "is not what"),
    ("3", "is not what"), ('["x"]', "is not what")])
def test_a_file_that_is_none(content, message, tmp_path, capsys):
    path = tmp_path / "cpu.json"
    if content is not None:
        path.write_text(content)
    assert main(["cpu", "--tables", str(path)]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
