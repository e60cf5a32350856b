"""Quantisation-aware fine-tuning of a checkpoint, and its command."""

import json

import pytest
import torch

from model.cta.config import CTAFormats
from model.lookup.config import LookupFormats
from sw.exported.reader import read
from sw.io.errors import InputError
from sw.lm import checkpoint, data
from sw.lm.held_out import measure
from sw.quant import train
from sw.quant.model import fakes, float_model
from tests.sw.quant import made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    made.checkpoint(folder / "model", folder / "text.txt")
    return folder


@pytest.fixture
def loaded(folder):
    model, run = checkpoint.load(folder / "model")
    tokens = checkpoint.tokens_of(folder / "model", run)
    return model, run, data.load_corpus(run.data, run.model.context, tokens)


def test_losses_are_those_of_the_model(loaded, folder):
    model, run, corpus = loaded
    losses = []
    found = train.fine_tune(model, run, corpus, steps=6, batch=2, rate=3e-3, sequences=4,
                            each=losses.append, options=train.narrowed(5, 4))
    assert len(losses) == 6 and len(fakes(model)) == 4
    held_out = data.fixed_sample(corpus.held_out, corpus.tokens, run.model.context, run.data.mask,
                                 4)
    assert found.trained == measure(model, held_out).loss
    float_model(model)
    assert found.float_after == measure(model, held_out).loss
    again, _ = checkpoint.load(folder / "model")
    assert found.float_before == measure(again, held_out).loss
    assert found.calibrated != found.float_before and found.trained < found.calibrated - 0.1


def test_no_steps_change_nothing(loaded):
    model, run, corpus = loaded
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = train.fine_tune(model, run, corpus, steps=0, sequences=2)
    assert found.trained == found.calibrated and found.float_after == found.float_before
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_control_is_the_same_training_in_floats(loaded):
    model, run, corpus = loaded
    losses = []
    found = train.fine_tune(model, run, corpus, steps=2, batch=2, sequences=2, control=True,
                            each=losses.append, options=train.narrowed(4, 3))
    assert len(losses) == 4 and found.control not in (None, found.trained, found.calibrated)
    # In its first step the float model has seen what the quantised one saw, and less error.
    assert losses[2] == pytest.approx(losses[0], rel=0.1) and losses[2] != losses[0]


def test_narrowed():
    assert train.narrowed() == {"attention": {"fmt": CTAFormats()}, "ffn": {"fmt": LookupFormats()}}
    found = train.narrowed(6, 3)
    assert (found["attention"]["fmt"].weight.width, found["ffn"]["fmt"].weight.width,
            found["ffn"]["fmt"].table.width) == (6, 6, 3)
    assert found["ffn"]["fmt"].weight.frac == LookupFormats().weight.frac - 4
    for bits in ((11, None), (1, None), (None, 9), (None, 0)):
        with pytest.raises(InputError, match="bits is"):
            train.narrowed(*bits)


def test_command(folder, tmp_path, capsys):
    text, report = str(folder / "text.txt"), tmp_path / "r.json"
    assert train.main([str(folder / "model"), "--text", text, "--steps", "3", "--batch", "2",
                       "--sequences", "2", "-o", str(tmp_path / "new"), "--export",
                       str(tmp_path / "export"), "--report", str(report)]) == 0
    figures = json.loads(report.read_text())
    assert f"{figures['trained']:.4f} after 3 steps" in capsys.readouterr().out
    meta = checkpoint.read_meta(tmp_path / "new")
    assert meta["step"] == 4 and meta["meta"]["quantised"] == figures
    model, _ = checkpoint.load(tmp_path / "new")
    old, _ = checkpoint.load(folder / "model")
    assert not torch.equal(model.layers[0].ffn.tables, old.layers[0].ffn.tables)
    assert sorted(read(tmp_path / "export")) == sorted(
        f"layers.{i}.{part}" for i in range(2) for part in ("attention.heads", "ffn"))


@pytest.mark.parametrize("args, message", [
    (["--steps", "-1"], "steps is -1, must be at least 0"), (["--rate", "0"], "rate is 0.0"),
    (["--batch", "0"], "batch is 0"), (["--percentile", "101"], "percentile is 101.0"),
    (["--table-bits", "1"], "table bits is 1, must be in 2..8"),
    (["--weight-bits", "11"], "weight bits is 11, must be in 2..10"),
    (["--report", "/nowhere/r.json"], "its folder does not exist"), (["--some"], "unrecognized"),
])
def test_bad_input(folder, capsys, args, message):
    try:
        status = train.main([str(folder / "model"), *args])
    except SystemExit as stop:
        status = stop.code
    err = capsys.readouterr().err
    assert status == 2 and message in err and err.count("\n") == 1, err
    if not args[0].startswith("--s"):
        return
    assert train.main([str(folder)]) == 2 and "not a checkpoint" in capsys.readouterr().err
