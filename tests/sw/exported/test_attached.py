"""From a host model to the engines in five lines: attach, quantise, export, read, run."""

import pytest
import torch

import sw
from sw.exported.codec import ImageError
from sw.exported.hooks import on_engine
from sw.exported.reader import read
from sw.nn.attachment import attention_layers
from sw.quant.model import fakes, float_model, quantise_model

OPTIONS = {"ffn_options": {"h": 4, "tau": 3, "block": 8, "seed": 1}, "attention_options": {"l": 4}}


def encoder():
    layer = torch.nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)
    model = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    x = torch.randn(3, 10, 32, generator=torch.Generator().manual_seed(1))
    padding = torch.zeros(3, 10, dtype=torch.bool)
    padding[1, 6:] = True
    return model, {"src": x, "src_key_padding_mask": padding}, lambda y: y[~padding]


def hugging_face(kind):
    transformers = pytest.importorskip("transformers", reason="needs the hf extra")
    sizes = dict(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                 intermediate_size=64, max_position_embeddings=32)
    if kind == "albert":
        config, model = transformers.AlbertConfig(**sizes, embedding_size=16), "AlbertModel"
    else:
        config, model = transformers.BertConfig(**sizes), "BertModel"
    torch.manual_seed(2)
    ids = torch.randint(0, 50, (3, 10))
    mask = torch.ones_like(ids)
    mask[2, 7:] = 0
    return (getattr(transformers, model)(config).eval(),
            {"input_ids": ids, "attention_mask": mask},
            lambda y: y.last_hidden_state[mask.bool()])


@pytest.mark.parametrize("host", [encoder, lambda: hugging_face("bert"),
                                  lambda: hugging_face("albert")], ids=["torch", "bert", "albert"])
@torch.no_grad()
def test_attached_model(host, tmp_path):
    model, batch, real = host()
    exact = real(model(**batch))
    sw.attach(model, "cta", "lookup", **OPTIONS)
    for heads in attention_layers(model).values():
        heads.w *= 0.2
    report = quantise_model(model, [batch], attention={"b": 2}, ffn={"multipliers": 8, "lanes": 8})
    quantised = real(model(**batch))
    due = fakes(model)
    sw.export(model, tmp_path / "e")
    layers = read(tmp_path / "e")
    assert set(layers) == set(report.quantised) == set(due)
    float_model(model)
    engines = on_engine(model, tmp_path / "e", "golden")
    assert torch.equal(real(model(**batch)), quantised)
    assert not torch.equal(quantised, exact) and all(engine.calls for engine in engines.values())
    # The attention of a padded sequence saw its real tokens only.
    tokens = next(engine for name, engine in engines.items() if "heads" in name).calls[0].tokens
    assert tokens == len(quantised)


@torch.no_grad()
def test_layers_left_in_float(tmp_path):
    """A feed-forward network without an engine is none of an export's; a layer that could be
    quantised and is not has to be left out by name."""
    model, batch, _ = encoder()
    sw.attach(model, "cta", "switch", ffn_options={"experts": 2, "d_ff": 8})
    report = quantise_model(model, [batch], attention={"b": 2})
    assert len(report.kept) == 2
    sw.export(model, tmp_path / "e")
    assert set(read(tmp_path / "e")) == set(report.quantised)
    attention_layers(model)[report.quantised[0]].fake = None
    with pytest.raises(ImageError, match=f"layer {report.quantised[0]} is not quantised"):
        sw.export(model, tmp_path / "f")
    sw.export(model, tmp_path / "f", layers=report.quantised[1:])
    assert list(read(tmp_path / "f")) == list(report.quantised[1:])
