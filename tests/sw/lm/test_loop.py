"""The training loop: rate, decay, exact resumption, CTA from a step on, accumulation."""

import json
import os
import signal

import pytest
import torch

from model.errors import ConfigError
from sw.io.errors import InputError
from sw.lm import checkpoint, loop
from sw.lm.config import TrainConfig
from sw.lm.config_file import read_config
from sw.lm.data import load_corpus
from sw.lm.model import MaskedLM
from sw.lm.parallel import World

ALONE = World(0, 1, torch.device("cpu"))
FAST = {"train.eval_every": 4, "train.save_every": 4, "train.steps": 8, "train.log_every": 3}


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("".join(f"def f{i}(x):\n    return x + {i * i % 97}\n" for i in range(200)))
    return file


def config(text, **settings):
    settings = {**FAST, **settings}
    return read_config("tiny", [f"{key}={value}" for key, value in settings.items()], [text])


def run(cfg, folder, resume=False):
    corpus = load_corpus(cfg.data, cfg.model.context)
    folder.mkdir(exist_ok=True)
    return loop.train(cfg, corpus, folder, ALONE, resume, quiet=True)


def metrics(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("tokens_per_second", None)
    return lines


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def test_rate_rises_and_falls_linearly():
    cfg = TrainConfig(steps=100, warmup=10, lr=2.0)
    rates = [loop.learning_rate(cfg, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2) and rates[9] == pytest.approx(2.0)
    assert rates[10] == pytest.approx(2.0) and rates[55] == pytest.approx(1.0)
    assert rates[99] == pytest.approx(2 / 90)
    assert loop.learning_rate(TrainConfig(steps=4, warmup=0), 0) == TrainConfig().lr


def test_what_decays(text):
    cfg = config(text)
    model = MaskedLM(cfg.replace(model={"vocab": 257, "attention_options": {
        "directions": "learned"}}).model)
    optimiser = loop.make_optimiser(model, cfg.train)
    names = {id(p): name for name, p in model.named_parameters()}
    decay, rest = ({names[id(p)] for p in group["params"]} for group in optimiser.param_groups)
    assert [g["weight_decay"] for g in optimiser.param_groups] == [cfg.train.weight_decay, 0]
    assert all("bias" in n or "norm" in n or n.endswith(".a") for n in rest)
    assert "token.weight" in decay and "layers.1.ffn.up.weight" in decay
    assert "layers.0.attention.heads.a" in rest
    assert decay | rest == set(names.values())


@pytest.mark.parametrize("settings", [
    {"model.dropout": 0.1, "train.cta_from": 2, "cta.every": 3},
    {"model.ffn": "lookup", "model.ffn_options": "{h=4, tau=3}", "train.accumulate": 2},
    {"model.ffn": "switch", "model.ffn_options": "{experts=2}"},
    {"model.ffn": "shuffle"}, {"model.ffn": "slide"}, {"model.ffn": "mongoose"},
    {"model.ffn": "yoso"},
    {"model.attention_options.directions": "learned", "train.cta_from": 4},
], ids=lambda settings: settings.get("model.ffn", "cta"))
def test_a_resumed_run_equals_one_that_never_stopped(text, tmp_path, settings):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    cfg = config(text, **settings)
    assert run(cfg, whole) == 0

    # Stop after step 5, between two logs and two evaluations; lose nothing, repeat nothing.
    measure, steps = loop.learning_rate, []

    def interrupt(train, step):
        if not steps and step == 4:
            steps.append(step)
            os.kill(os.getpid(), signal.SIGINT)
        return measure(train, step)
    loop.learning_rate = interrupt
    try:
        assert run(cfg, parts) == loop.INTERRUPTED
    finally:
        loop.learning_rate = measure
    assert checkpoint.read_meta(parts)["step"] == 5
    assert run(cfg, parts, resume=True) == 0
    assert metrics(parts) == metrics(whole)
    assert weights(parts) == weights(whole)
    assert (parts / "optimiser.safetensors").read_bytes() == (
        whole / "optimiser.safetensors").read_bytes()
    assert metrics(whole)[-1]["held_out_loss"] < 5.5


def test_resuming_from_an_older_checkpoint_forgets_what_came_after(text, tmp_path, monkeypatch):
    """As if the process had been killed in step 8: metrics go further than the checkpoint."""
    cfg = config(text)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(cfg, whole) == 0
    save = checkpoint.save_optimiser
    older = {}

    def keep(folder, *args):
        save(folder, *args)
        older.setdefault("files", {p: p.read_bytes() for p in folder.iterdir()
                                   if p.name != "metrics.jsonl"})
    monkeypatch.setattr(checkpoint, "save_optimiser", keep)
    assert run(cfg, killed) == 0
    monkeypatch.undo()
    for path, content in older["files"].items():
        path.write_bytes(content)
    assert checkpoint.read_meta(killed)["step"] == 4 and metrics(killed)[-1]["step"] == 8
    assert run(cfg, killed, resume=True) == 0
    assert metrics(killed) == metrics(whole) and weights(killed) == weights(whole)


def test_cta_begins_at_its_step(text, tmp_path):
    cfg = config(text, **{"train.cta_from": 4, "cta.every": 2})
    run(cfg, tmp_path / "cta")
    run(config(text), tmp_path / "exact")
    cta, exact = metrics(tmp_path / "cta"), metrics(tmp_path / "exact")
    assert [line["step"] for line in cta if "cta" in line] == [5, 7]
    assert all(abs(layer["RL"] - 0.5729) < 0.05 for line in cta if "cta" in line
               for layer in line["cta"])

    def at(lines, step):
        return [line for line in lines if line["step"] == step and "cta" not in line]
    assert at(cta, 3) == at(exact, 3) and at(cta, 4) == at(exact, 4)
    assert at(cta, 8) != at(exact, 8)
    assert checkpoint.read_meta(tmp_path / "cta")["modes"] == ["cta", "cta"]


def test_cta_from_the_start(text, tmp_path):
    run(config(text, **{"model.attention": "cta", "cta.layers": "[1]"}), tmp_path / "run")
    assert checkpoint.read_meta(tmp_path / "run")["modes"] == ["exact", "cta"]
    assert metrics(tmp_path / "run")[0]["step"] == 1


def test_accumulation_changes_nothing_but_rounding(text, tmp_path):
    run(config(text), tmp_path / "one")
    run(config(text, **{"train.accumulate": 4}), tmp_path / "four")
    for one, four in zip(metrics(tmp_path / "one"), metrics(tmp_path / "four"), strict=True):
        assert four == pytest.approx(one, rel=1e-4)


def test_training_learns(text, tmp_path):
    run(config(text, **{"train.steps": 60, "train.eval_every": 60}), tmp_path / "run")
    lines = metrics(tmp_path / "run")
    first, last = ([line["loss"] for line in lines if "loss" in line][i] for i in (0, -1))
    assert first > 4.5 and last < 3
    held_out = [line for line in lines if "held_out_loss" in line][-1]
    assert held_out["held_out_loss"] < 3 and held_out["held_out_accuracy"] > 0.2


def test_learned_directions_learn_only_under_cta(text, tmp_path):
    cfg = config(text, **{"model.attention_options.directions": "learned", "train.cta_from": 4})
    run(cfg, tmp_path / "run")
    run(cfg.replace(train={"cta_from": -1}), tmp_path / "exact")
    (learned, _), (still, _) = (checkpoint.load(tmp_path / name) for name in ("run", "exact"))
    new = MaskedLM(still.cfg)
    for i, layer in enumerate(new.layers):
        a = layer.attention.heads.a
        assert torch.equal(still.layers[i].attention.heads.a, a)
        assert not torch.equal(learned.layers[i].attention.heads.a, a)


def test_bfloat16(text, tmp_path):
    run(config(text), tmp_path / "one")
    run(config(text, **{"train.precision": "bfloat16"}), tmp_path / "two")
    one, two = (metrics(tmp_path / name)[-1]["held_out_loss"] for name in ("one", "two"))
    assert two != one and two == pytest.approx(one, rel=0.02)


def test_a_loss_that_is_not_finite_ends_the_run(text, tmp_path, monkeypatch):
    forward, calls = MaskedLM.forward, []

    def broken(self, *args):
        calls.append(1)
        return forward(self, *args) * (float("nan") if len(calls) == 3 else 1)
    monkeypatch.setattr(MaskedLM, "forward", broken)
    with pytest.raises(InputError, match="the loss of step 2 is nan"):
        run(config(text), tmp_path / "run")


def test_refusals(text, tmp_path):
    with pytest.raises(ConfigError, match="train.batch is 4, must be a multiple of 1 processes "
                                          "times train.accumulate = 3"):
        run(config(text, **{"train.accumulate": 3}), tmp_path / "run")
    with pytest.raises(ConfigError, match="train.cta_from is 8, must be below train.steps = 8"):
        run(config(text, **{"train.cta_from": 8}), tmp_path / "run")
    run(config(text), tmp_path / "run")
    with pytest.raises(InputError, match="model.d is 64, the checkpoint to resume has 32"):
        run(config(text, **{"model.d": 64}), tmp_path / "run", resume=True)
    text.write_text(text.read_text()[:-200])
    with pytest.raises(InputError, match="the text is not the one of the checkpoint"):
        run(config(text), tmp_path / "run", resume=True)
