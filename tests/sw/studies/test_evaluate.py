"""The command: files, tables, refusals."""

import json

import pytest

torch = pytest.importorskip("torch", reason="needs the sw extra")

from sw.lm.train import main as train  # noqa: E402
from sw.studies.evaluate import main  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    text = folder / "text.txt"
    text.write_text("".join(f"def f{i}(x):\n    return x + {i * i % 97}\n" for i in range(300)))
    assert train(["--config", "tiny", "--text", str(text), "-o", str(folder / "run"), "--quiet",
                  "--set", "model.d=64", "--set", "train.steps=5"]) == 0
    return folder, text


QUICK = ["--steps", "1", "--batch", "1", "--sequences", "2", "--calibration", "1", "--points",
         "CTA-0", "--directions", "random", "--rl", "0.8", "--sizes", "4,3,16", "--quiet"]


def test_files_and_tables(made, capsys):
    pytest.importorskip("matplotlib", reason="needs the plot extra")
    folder, _ = made
    out = folder / "out"
    assert main([str(folder / "run"), "-o", str(out), *QUICK]) == 0
    assert {p.name for p in out.iterdir()} == {"results.json", "table.md", "attention.png",
                                               "lookup.png"}
    results = json.loads((out / "results.json").read_text())
    assert results["command"].startswith("python -m sw.studies.evaluate ") and results["ffn"] == "vanilla"
    assert results["text"] == "text.txt" and results["predictions"] == 2 * 10
    assert len(results["rows"]) == 10
    table = (out / "table.md").read_text()
    assert capsys.readouterr().out.strip() == table.strip()
    rows = {(r["name"], r["stage"]): r for r in results["rows"]}
    for r in rows.values():
        assert f"{r['loss']:.3f} ({r['over']:+.3f} ± {r['error']:.3f})" in table
    assert "| vanilla | 65,536 | 1.00 |" in table and "| h 4, tau 3, block 16 | " in table
    assert (out / "attention.png").read_bytes()[:4] == b"\x89PNG"


def test_another_text(made, tmp_path):
    folder, _ = made
    other = tmp_path / "other.txt"
    other.write_text("Some words, and others.\n" * 200)
    assert main([str(folder / "run"), "-o", str(tmp_path / "out"), "--text", str(other), *QUICK,
                 "--no-quantised", "--steps", "0", "--sizes"]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["text"] == "other.txt" and {r["stage"] for r in results["rows"]} == {"before"}
    assert not (tmp_path / "out" / "lookup.png").exists()


@pytest.mark.parametrize("arguments, message", [
    (["--points", "CTA-9"], "--points CTA-9 is unknown, must be of CTA-0, CTA-0.5, CTA-1"),
    (["--directions", "best"], "--directions best is unknown, must be of random, projection"),
    (["--rl", "1.5"], "--rl is 1.5, must be in (0, 1]"),
    (["--rl", "x"], "--rl x is malformed"),
    (["--sizes", "4,3"], "--sizes 4,3 is malformed"),
    (["--sizes", "4,30,16"], "tau is 30"),
    (["--steps", "-1"], "--steps is -1, must be at least 0"),
    (["--lr", "0"], "--lr is 0.0, must be in (0, 100)"),
    (["--text", "no/such"], "text no/such does not exist"),
])
def test_errors_are_one_line_and_status_2(made, tmp_path, capsys, arguments, message):
    folder, _ = made
    quick = ["--quiet", "--points", "", "--rl", "", "--steps", "0", "--sequences", "1",
             "--no-quantised", "--sizes"]
    assert main([str(folder / "run"), "-o", str(tmp_path / "out"), *quick, *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err and err.startswith("sw.studies.evaluate: ") and err.count("\n") == 1


def test_not_a_checkpoint(tmp_path, capsys):
    assert main([str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "is not a checkpoint: it has no config.json" in capsys.readouterr().err
