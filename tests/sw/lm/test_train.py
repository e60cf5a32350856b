"""The command: what it writes, refuses, survives; two processes are one with the same batch."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sw.lm import checkpoint
from sw.lm.train import main

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("".join(f"def f{i}(x):\n    return x + {i * i % 97}\n" for i in range(200)))
    return str(file)


def command(text, folder, *more, steps=4):
    return ["--config", "tiny", "--text", text, "-o", str(folder), "--quiet",
            "--set", f"train.steps={steps}", *more]


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def test_a_run_leaves_a_checkpoint(text, tmp_path, capsys):
    folder = tmp_path / "runs" / "a"
    assert main(command(text, folder)) == 0
    assert {p.name for p in folder.iterdir()} == {
        "model.safetensors", "config.json", "optimiser.safetensors", "metrics.jsonl"}
    assert "4 steps, held-out loss" in capsys.readouterr().out
    model, cfg = checkpoint.load(folder)
    assert cfg.model.vocab == 257 and cfg.train.steps == 4
    meta = checkpoint.read_meta(folder)["meta"]
    assert meta["text"] == "text.txt" and meta["held_out_sequences"] == 4


def test_release_is_the_model_alone_in_half_precision(text, tmp_path):
    run, release = tmp_path / "run", tmp_path / "release"
    assert main(command(text, run, "--set", "train.cta_from=2")) == 0
    assert main(command(text, run, "--set", "train.cta_from=2", "--resume", "--release",
                        str(release))) == 0
    assert {p.name for p in release.iterdir()} == {"model.safetensors", "config.json"}
    whole, half = (checkpoint.load(folder)[0].state_dict() for folder in (run, release))
    assert torch.equal(half["token.weight"], whole["token.weight"].half().float())
    meta, before = (checkpoint.read_meta(folder)["meta"] for folder in (release, run))
    assert meta["held_out_loss"] == pytest.approx(before["held_out_loss"], abs=0.01)
    assert "losses" not in meta and len(meta["ratios"]) == 2
    assert meta["ratios"][1]["RL"] < 0.8
    # It can be trained no further, and says so.
    assert main(["--resume", "-o", str(release), "--text", text, "--quiet"]) == 2


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
def test_pieces_travel_with_the_checkpoint(text, tmp_path, kind):
    pytest.importorskip("tokenizers", reason="needs the sw extra")
    folder = tmp_path / kind
    more = ["--set", f"data.tokens={kind}", "--set", "data.vocab=300", "--set", "model.context=16"]
    assert main(command(text, folder, *more)) == 0
    model, cfg = checkpoint.load(folder)
    assert checkpoint.tokens_of(folder, cfg).vocab == cfg.model.vocab <= 300
    again = command(text, folder, *more, "--resume", steps=6)
    assert main(again) == 0 and checkpoint.read_meta(folder)["step"] == 6


def test_resume_without_a_config_takes_that_of_the_run(text, tmp_path):
    assert main(command(text, tmp_path / "a", steps=6)) == 0
    assert main(command(text, tmp_path / "b", "--set", "train.cta_from=3", steps=6)) == 0
    assert main(["--resume", "-o", str(tmp_path / "b"), "--quiet", "--set", "train.steps=8"]) == 0
    data = checkpoint.read_meta(tmp_path / "b")
    assert data["step"] == 8 and data["config"]["train"]["cta_from"] == 3


def test_print(text, tmp_path, capsys):
    assert main([*command(text, tmp_path / "a"), "--print"]) == 0
    assert json.loads(capsys.readouterr().out)["train"]["steps"] == 4
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("arguments, message", [
    (["--config", "no.toml"], "sw.lm.train: config no.toml does not exist, nor is it one of the presets"),
    ([], "sw.lm.train: --config is missing"),
    (["--config", "tiny", "--set", "train.batch=3", "--set", "train.accumulate=2"],
     "sw.lm.train: train.batch is 3, must be a multiple of 1 processes times train.accumulate = 2"),
    (["--config", "tiny", "--set", "model.ffn=moe"], "sw.lm.train: model.ffn is 'moe'"),
    (["--config", "tiny", "--set", "model.ffn=lookup"], "sw.lm.train: option 'h' of ffn 'lookup' is"),
    (["--config", "tiny", "--text", "no/such"], "sw.lm.train: text no/such does not exist"),
    (["--resume"], "is not a checkpoint"),
])
def test_errors_are_one_line_and_status_2(text, tmp_path, capsys, arguments, message):
    if "--text" not in arguments:
        arguments = [*arguments, "--text", text]
    assert main([*arguments, "-o", str(tmp_path / "run"), "--quiet"]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_a_folder_with_a_checkpoint_is_not_overwritten(text, tmp_path, capsys):
    assert main(command(text, tmp_path / "a")) == 0
    assert main(command(text, tmp_path / "a")) == 2
    assert "holds a checkpoint: --resume goes on from it" in capsys.readouterr().err


def test_ctrl_c_leaves_a_checkpoint_and_status_130(text, tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "sw.lm.train", *command(text, folder, steps=100_000)], cwd=ROOT,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        end = time.monotonic() + 60
        while not ((folder / "metrics.jsonl").is_file() and losses(folder)):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        err = process.stderr.read()
    finally:
        process.kill()
        process.stderr.close()
    step = checkpoint.read_meta(folder)["step"]
    assert step >= 5 and f"stopped after step {step}" in err and "Traceback" not in err
    checkpoint.load(folder)


PROBE = """
import json, sys, torch
from sw.lm import loop, parallel
parts = []
step = torch.optim.AdamW.step
def record(self, *args, **kwargs):
    parts.append({"gradient": [p.grad.tolist() for g in self.param_groups for p in g["params"]
                               if p.grad is not None][::5]})
    result = step(self, *args, **kwargs)
    parts[-1]["weights"] = [p.tolist() for g in self.param_groups for p in g["params"]][::5]
    return result
torch.optim.AdamW.step = record
start = parallel.start
def begin():
    global world
    world = start()
    return world
parallel.start = begin
from sw.lm.train import main
status = main(sys.argv[2:])
torch.save(parts, f"{sys.argv[1]}.{world.rank}")
sys.exit(status)
"""


def test_two_processes_are_one_with_the_whole_batch(text, tmp_path):
    """Batch 4 in one process, 2 + 2 in two: equal gradients, equal parameters on both ranks."""
    script = tmp_path / "probe.py"
    script.write_text(PROBE)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    settings = ["--set", "train.clip=0", "--set", "train.cta_from=2", "--set", "cta.every=1",
                "--set", "train.log_every=1"]

    def go(launcher, name):
        subprocess.run([sys.executable, *launcher, str(script), str(tmp_path / name),
                        *command(text, tmp_path / f"run-{name}", *settings)],
                       cwd=ROOT, env=environment, check=True, timeout=120, capture_output=True)
    go([], "one")
    go(["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"], "two")
    one, first, second = (torch.load(tmp_path / name) for name in ("one.0", "two.0", "two.1"))
    assert len(one) == len(first) == len(second) == 4
    for left, right in zip(first, second):
        assert left == right
    # Only the order of a sum differs. From step 2 on, CTA may turn that into another cluster.
    for alone, left in zip(one[:2], first):
        for key in ("gradient", "weights"):
            for a, b in zip(alone[key], left[key], strict=True):
                torch.testing.assert_close(torch.tensor(b), torch.tensor(a), rtol=1e-3, atol=1e-6)
    assert one[0]["gradient"] != one[1]["gradient"]
    assert losses(tmp_path / "run-two") == pytest.approx(losses(tmp_path / "run-one"), rel=1e-2)
    assert checkpoint.read_meta(tmp_path / "run-two")["meta"]["processes"] == 2
