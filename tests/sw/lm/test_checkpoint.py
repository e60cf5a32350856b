"""Checkpoints: what is written is read, what is broken is refused."""

import json

import pytest
import torch

from sw.io.errors import InputError
from sw.lm import checkpoint
from sw.lm.config import ModelConfig, RunConfig
from sw.lm.loop import make_optimiser
from sw.lm.model import MaskedLM
from sw.lm.tokens import ByteTokens

CFG = RunConfig(model=ModelConfig(d=16, heads=2, layers=2, context=12, vocab=257, dropout=0.0))


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = MaskedLM(CFG.model)
    model.layers[1].attention.heads.mode = "cta"
    model.layers[1].attention.heads.w.copy_(torch.tensor([1.1, 2.2, 3.3]))
    checkpoint.save_model(tmp_path, model, CFG, ByteTokens(), step=5, meta={"why": "test"})
    return tmp_path, model


def test_round_trip(saved):
    folder, model = saved
    again, cfg = checkpoint.load(folder)
    assert cfg == CFG and not again.training
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert [layer.attention.heads.mode for layer in again.layers] == ["exact", "cta"]
    assert checkpoint.read_meta(folder)["meta"] == {"why": "test"}
    ids = torch.arange(24).view(2, 12)
    assert torch.equal(again(ids), model.eval()(ids))
    assert checkpoint.exists(folder) and not checkpoint.exists(folder / "no")


def test_half_precision_keeps_what_decides_clusters(saved, tmp_path):
    folder, model = saved
    small = tmp_path / "half"
    checkpoint.save_model(small, model, CFG, ByteTokens(), step=5, meta={}, half=True)
    again, _ = checkpoint.load(small)
    heads = again.layers[1].attention.heads
    for name in ("a", "w", "offset"):
        assert torch.equal(getattr(heads, name), getattr(model.layers[1].attention.heads, name))
    weight = model.token.weight
    assert torch.equal(again.token.weight, weight.half().float())
    sizes = [(f / checkpoint.WEIGHTS).stat().st_size for f in (small, folder)]
    assert sizes[0] < 0.6 * sizes[1]


def test_optimiser_round_trip(saved):
    folder, model = saved
    optimiser = make_optimiser(model, CFG.train)
    model(torch.arange(12)[None]).sum().backward()
    optimiser.step()
    checkpoint.save_optimiser(folder, model, optimiser, 5)
    other = make_optimiser(model, CFG.train)
    checkpoint.load_optimiser(folder, model, other, 5)
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            assert torch.equal(other.state[parameter][key], value)
            assert other.state[parameter][key].dtype == value.dtype
    with pytest.raises(InputError, match="optimiser is of step 5, weights of step 6"):
        checkpoint.load_optimiser(folder, model, other, 6)


def refuse(folder, message):
    with pytest.raises(InputError) as error:
        checkpoint.load(folder)
    assert message in str(error.value) and "\n" not in str(error.value)


def edit(folder, change):
    data = json.loads((folder / "config.json").read_text())
    change(data)
    (folder / "config.json").write_text(json.dumps(data))


def test_missing(saved, tmp_path):
    folder, _ = saved
    refuse(tmp_path / "no", "is not a checkpoint: it has no config.json")
    (folder / checkpoint.WEIGHTS).unlink()
    refuse(folder, "does not exist, the checkpoint is incomplete")


@pytest.mark.parametrize("cut", [0, 4, 100, -10])
def test_truncated(saved, cut):
    folder, _ = saved
    file = folder / checkpoint.WEIGHTS
    file.write_bytes(file.read_bytes()[:cut])
    refuse(folder, "is not a safetensors file")


@pytest.mark.parametrize("change, message", [
    (lambda d: d.update(schema=9), "is not of schema 1"),
    (lambda d: d.pop("modes"), "lacks 'modes'"),
    (lambda d: d.update(modes=["exact"]), "modes has 1 entries, must have 2"),
    (lambda d: d.update(modes=["exact", "fast"]), "mode 'fast' must be 'exact' or 'cta'"),
    (lambda d: d.update(step=6), "weights are of step 5, config.json of step 6"),
    (lambda d: d["config"]["model"].update(d=18), "bias has shape (16,), must be (18,)"),
    (lambda d: d["config"]["model"].update(layers=3), "model.safetensors lacks layers.2."),
    (lambda d: d["config"]["model"].update(layers=1), "the model lacks layers.1."),
    (lambda d: d["config"]["model"].update(heads=5), "model.d is 16, must be a multiple of heads"),
    (lambda d: d["config"]["train"].update(stepz=5), "train.stepz is unknown"),
])
def test_mismatch(saved, change, message):
    folder, _ = saved
    edit(folder, change)
    refuse(folder, message)


def test_not_json(saved):
    folder, _ = saved
    (folder / "config.json").write_text("{")
    refuse(folder, "config.json cannot be read")


def test_the_shipped_encoder_reads_python():
    """What sw/demo/data/encoder holds: small, CTA in every layer, and trained on text like this file."""
    from pathlib import Path

    from sw.lm.data import fixed_sample
    from sw.lm.held_out import measure
    folder = Path(checkpoint.__file__).parents[1] / "demo" / "data" / "encoder"
    model, cfg = checkpoint.load(folder)
    assert {layer.attention.heads.mode for layer in model.layers} == {"cta"}
    assert {type(layer.ffn).__name__ for layer in model.layers} == {"LookupFFN"}
    assert sum(p.stat().st_size for p in folder.iterdir()) < 2.5e6
    tokens = checkpoint.tokens_of(folder, cfg)
    stream = tokens.encode(Path(__file__).read_bytes())
    score = measure(model, fixed_sample(stream, tokens, cfg.model.context, cfg.data.mask, 4))
    assert score.loss < 2.2 and score.accuracy > 0.45
