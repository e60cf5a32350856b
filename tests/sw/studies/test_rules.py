"""Rules of calibration on a checkpoint: errors against the layers' own, and the command."""

import json

import numpy as np
import pytest
import torch

from sw.io.figures import relative_error
from sw.lm import checkpoint, data
from sw.lm.held_out import measure
from sw.quant.model import fakes, quantise_model
from sw.studies import rules
from sw.studies.budget_inputs import seen_by
from tests.sw.quant import made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    made.checkpoint(folder / "model", folder / "text.txt")
    return folder


@pytest.fixture
def loaded(folder):
    """Model, calibration ids and held-out sequences."""
    model, run = checkpoint.load(folder / "model")
    tokens = checkpoint.tokens_of(folder / "model", run)
    corpus = data.load_corpus(run.data, run.model.context, tokens)
    args = tokens, run.model.context, run.data.mask
    ids = torch.from_numpy(data.sample(corpus.train, *args, 0, 0, range(4)).ids)
    return model, ids, data.fixed_sample(corpus.held_out, *args, 5)


@pytest.mark.parametrize("mode", ["cta", "exact"])
def test_compare(loaded, mode):
    model, ids, held_out = loaded
    for layer in model.layers:
        layer.attention.heads.mode = mode
    done = []
    found = rules.compare(model, ids, held_out, each=lambda: done.append(1))
    assert len(done) == len(found) == len(rules.RULES) + 1 and fakes(model) == {}
    assert [one.rule for one in found] == ["float", "percentile 100", "percentile 99.99",
                                           "percentile 99.9", "percentile 99", "mse"]
    assert found[0].loss == measure(model, held_out).loss and found[0].ffn is None
    assert all(0 < one.attention < 0.1 and 0 < one.ffn < 0.2 for one in found[1:])
    if mode == "exact":
        # One rule by hand; in exact mode the float layer is the reference as it is.
        inputs = seen_by(model, torch.from_numpy(held_out.ids[:2]))
        want = [model.get_submodule(name)(*args) for name, args in inputs.items()
                if name.endswith("heads")]
        quantise_model(model, [ids], method="mse")
        got = [model.get_submodule(name)(*args) for name, args in inputs.items()
               if name.endswith("heads")]
        error = relative_error(*(np.stack([y.detach().double().numpy() for y in ys])
                                 for ys in (got, want)))
        assert found[-1].attention == pytest.approx(error, rel=1e-3)
        assert found[-1].loss == measure(model, held_out).loss


def test_command(folder, tmp_path, capsys):
    report = tmp_path / "rules.json"
    text = str(folder / "text.txt")
    assert rules.main([str(folder / "model"), "--text", text, "--calibration", "2",
                       "--sequences", "2", "--report", str(report)]) == 0
    rows = json.loads(report.read_text())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(rows) + 1 == 7
    assert lines[1].split() == ["float", "-", "-", f"{rows[0]['loss']:.4f}"]
    for args, message in (([str(tmp_path)], "not a checkpoint"),
                          ([str(folder / "model"), "--calibration", "0"], "calibration is 0"),
                          ([str(folder / "model"), "--text", "none"], "text none does not exist"),
                          ([str(folder / "model"), "--report", "/nowhere/r"], "does not exist")):
        assert rules.main(args) == 2
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1
