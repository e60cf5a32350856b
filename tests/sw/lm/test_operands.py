"""A head and a layer of a checkpoint: what the engines' commands read is what the model computes."""

import json

import numpy as np
import pytest
import torch

from model.cta.reference import attention_exact
from model.lookup.reference import forward
from sw.lm import checkpoint
from sw.lm.data import load_corpus
from sw.lm.train import main
from sw.run.head_file import read_head
from sw.run.layer_file import make_config, read_layer


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("".join(f"def f{i}(x):\n    return x + {i * i % 97}\n" for i in range(200)))
    return str(file)


def train(text, folder, *more):
    return main(["--config", "tiny", "--text", text, "-o", str(folder), "--quiet", "--set",
                 "train.steps=2", *map(str, more)])


def seen(folder, layer, part):
    """Input and output of a part of a layer on the passage that the file names."""
    model, _ = checkpoint.load(folder)
    found = {}
    model.get_submodule(f"layers.{layer}.{part}").register_forward_hook(
        lambda module, args, output: found.update(x=args[0], y=output))
    return model, found


def passage(path):
    with np.load(path) as data:
        meta = json.loads(str(data["meta"]))
    return torch.tensor([list(meta["passage"].encode())]), meta


@pytest.mark.parametrize("layer", [0, 1])
def test_a_head_is_that_of_the_model(text, tmp_path, layer):
    run, file = tmp_path / "run", tmp_path / "head.npz"
    assert train(text, run, "--head", file, "--layer", layer) == 0
    head = read_head(file)
    assert head.xq.shape == (64, 32) and head.wq.shape == (32, 16)
    model, found = seen(run, layer, "attention.heads")
    ids, meta = passage(file)
    with torch.no_grad():
        model(ids)
    np.testing.assert_allclose(head.xq, found["x"][0], atol=1e-6)
    o = attention_exact(head.xq, head.xkv, head.wq, head.wk, head.wv, head.bq, head.bv)
    np.testing.assert_allclose(o, found["y"][0, :, :16], atol=1e-5)
    assert meta["layer"] == layer and meta["steps"] == 2 and "losses" not in meta
    assert meta["made_by"] == f"python -m sw.lm.train --config tiny -o RUN --head FILE --layer {layer}"
    _, cfg = checkpoint.load(run)
    held_out = load_corpus(cfg.data, 64).held_out.tolist()
    assert any(held_out[i:i + 64] == ids[0].tolist() for i in range(len(held_out) - 63))


@pytest.mark.parametrize("projection", ["bh4", "dense"])
def test_a_lookup_layer_is_that_of_the_model(text, tmp_path, projection):
    run, file = tmp_path / "run", tmp_path / "layer.npz"
    assert train(text, run, "--set", "model.ffn=lookup", "--set",
                 f"model.ffn_options={{h=4, tau=3, projection='{projection}'}}",
                 "--lookup", file, "--layer", 1) == 0
    real = read_layer(file)
    cfg = make_config(real, {})
    assert (cfg.d, cfg.h, cfg.tau, cfg.projection) == (32, 4, 3, projection)
    model, found = seen(run, 1, "ffn")
    with torch.no_grad():
        model(passage(file)[0])
    np.testing.assert_allclose(real.x, found["x"][0], atol=1e-6)
    # Tables are in half precision.
    np.testing.assert_allclose(forward(cfg, real), found["y"][0], atol=1e-3)


def test_a_finished_run_gives_another_layer(text, tmp_path):
    run, first, second = tmp_path / "run", tmp_path / "0.npz", tmp_path / "1.npz"
    assert train(text, run, "--head", first) == 0
    before = (run / "model.safetensors").read_bytes()
    assert main(["--resume", "-o", str(run), "--quiet", "--head", str(second), "--layer", "1"]) == 0
    assert (run / "model.safetensors").read_bytes() == before
    assert not np.array_equal(read_head(first).wq, read_head(second).wq)


def test_the_same_seed_gives_the_same_file(text, tmp_path):
    for name in ("a", "b"):
        assert train(text, tmp_path / name, "--head", tmp_path / f"{name}.npz") == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert train(text, tmp_path / "c", "--set", "train.seed=1", "--head", tmp_path / "c.npz") == 0
    assert (tmp_path / "a.npz").read_bytes() != (tmp_path / "c.npz").read_bytes()


@pytest.mark.parametrize("more, message", [
    (["--head", "x.npz", "--layer", "2"], "layer is 2, must be in 0..1"),
    (["--head", "x.npz", "--layer", "-1"], "layer is -1, must be in 0..1"),
    (["--lookup", "x.npz"], "model.ffn is 'vanilla', must be 'lookup' for --lookup"),
    (["--head", "no/such/x.npz"], "no/such/x.npz cannot be written")])
def test_refused_before_training(text, tmp_path, capsys, more, message):
    assert train(text, tmp_path / "run", *more) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and not (tmp_path / "run").exists()
