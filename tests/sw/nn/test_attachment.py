"""What attach and detach promise whatever the model is; adapters have tests of their own."""

import pickle

import pytest
import torch
from torch import nn

import sw
from sw.nn.attachment import attention_layers, ffn_layers
from sw.nn.cta_attention import CTAAttention
from sw.nn.encoder_layer import EncoderLayer
from sw.nn.ffn.lookup import LookupFFN
from sw.nn.ffn.registry import FFNS
from sw.nn.ffn.vanilla import VanillaFFN


def torch_model(layers=3):
    torch.manual_seed(0)
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 48, 0.0, batch_first=True),
                                 layers).double()


def own_model(layers=3):
    torch.manual_seed(0)
    return nn.Sequential(*[EncoderLayer(32, 4, VanillaFFN(32, 48),
                                        CTAAttention(32, 4, mode="exact", seed=i))
                           for i in range(layers)]).double().eval()


X = torch.randn(2, 9, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_lazy_attributes_are_these():
    from sw.nn import attachment
    assert sw.attach is attachment.attach and sw.detach is attachment.detach


def test_defaults():
    report = sw.attach(torch_model())
    assert {row.part for row in report.replaced} == {"attention"}
    assert all(row.now == "CTAHeads, cta, l 6, random" for row in report.replaced)
    assert {row.why for row in report.kept} == {"not asked for"}
    assert report.notes == ("bucket widths are a guess until sw.nn.widths.calibrate sets them",)


def test_default_tables():
    model = torch_model()
    report = sw.attach(model, None, "lookup")
    assert report.notes == ()
    assert [(ffn.h, ffn.tau) for ffn in ffn_layers(model).values()] == [(8, 8)] * 3
    sw.detach(model)
    sw.attach(model, None, "lookup", ffn_options={"tau": 3})
    assert [(ffn.h, ffn.tau) for ffn in ffn_layers(model).values()] == [(8, 3)] * 3


@pytest.mark.parametrize("name", FFNS)
def test_every_ffn(name):
    model = torch_model(2)
    options = {"lookup": {"h": 4, "tau": 3}}.get(name, {})
    sw.attach(model, None, name, ffn_options=options)
    y = model.train()(X)
    assert y.shape == X.shape and torch.isfinite(y).all()
    y.sum().backward()
    assert len(ffn_layers(model)) == 2
    for layer in model.layers:
        assert layer.linear1.flop == layer.linear1.ffn.flop > 0
        assert layer.linear1.aux_loss is getattr(layer.linear1.ffn, "aux_loss", None)
    sw.detach(model)


def test_options_and_seeds():
    model, again = torch_model(), torch_model()
    sw.attach(model, "cta", "lookup",
              attention_options={"l": 4, "directions": "learned", "seed": 7},
              ffn_options={"h": 4, "tau": 3, "seed": 9})
    heads = list(attention_layers(model).values())
    assert all(h.l == 4 and h.a.requires_grad for h in heads)
    sw.attach(again, "cta", "lookup", layers=[0],
              attention_options={"l": 4, "directions": "learned", "seed": 8},
              ffn_options={"h": 4, "tau": 3, "seed": 10})
    assert torch.equal(next(iter(attention_layers(again).values())).a, heads[1].a)
    assert not torch.equal(heads[0].a, heads[1].a)
    assert torch.equal(next(iter(ffn_layers(again).values())).tables,
                       list(ffn_layers(model).values())[1].tables)


@pytest.mark.parametrize("call, message", [
    ({"attention": None}, "attention and ffn are both None"),
    ({"attention": "fast"}, "attention is 'fast', must be one of cta, exact or None"),
    ({"ffn": "wide"}, "ffn is 'wide', must be one of vanilla, lookup"),
    ({"layers": [3]}, r"layers has 3, must be in -3..2"),
    ({"layers": [-4]}, r"layers has -4, must be in -3..2"),
    ({"layers": ["0"]}, "layers has '0', must be in"),
    ({"layers": []}, "layers is empty"),
    ({"layers": 1}, "layers is 1, must be a sequence"),
    ({"attention_options": {"mode": "cta"}}, "attention_options has 'mode', must be among l, dir"),
    ({"attention_options": {"l": 99}}, "l is 99, must be in 1..8"),
    ({"attention_options": {"seed": "x"}}, "seed is 'x', must be an integer"),
    ({"ffn": "lookup", "ffn_options": {"depth": 2}}, "option 'depth' of ffn 'lookup' is unknown"),
    ({"ffn": "lookup", "ffn_options": {"tau": 0}}, "tau"),
])
def test_illegal_calls_change_nothing(call, message):
    model = torch_model()
    before = [type(m) for m in model.modules()]
    with pytest.raises(ValueError, match=message):
        sw.attach(model, **call)
    assert [type(m) for m in model.modules()] == before


def test_twice_is_refused():
    model = torch_model()
    sw.attach(model, "cta", layers=[1])
    with pytest.raises(ValueError, match=r"layers.1.self_attn is replaced already \(CTAHeads, cta.*"
                                         "detach first"):
        sw.attach(model, "exact")
    assert len(attention_layers(model)) == 1
    sw.attach(model, "cta", layers=[0, -1])
    sw.attach(model, None, "vanilla")
    assert len(attention_layers(model)) == len(ffn_layers(model)) == 3
    assert len(sw.detach(model).replaced) == 6


@pytest.mark.parametrize("model", [torch_model(), own_model()], ids=["torch", "own"])
def test_detach_of_nothing_is_refused(model):
    with pytest.raises(ValueError, match=f"this {type(model).__name__} has nothing attached"):
        sw.detach(model)
    sw.attach(model)
    sw.detach(model)
    with pytest.raises(ValueError, match="has nothing attached"):
        sw.detach(model)


@pytest.mark.parametrize("call", [sw.attach, sw.detach])
def test_unknown_models_are_refused(call):
    with pytest.raises(ValueError, match="Sequential has no layer that can be replaced; known are"):
        call(nn.Sequential(nn.Linear(3, 3)))
    with pytest.raises(ValueError, match="model is a str, must be a torch.nn.Module"):
        call("bert")


def test_part_of_a_model():
    """What is attached through a part of a model is detached through the whole, and back."""
    model = nn.ModuleDict({"encoder": torch_model()})
    sw.attach(model["encoder"], "cta", layers=[0])
    assert [row.name for row in sw.detach(model).replaced] == ["encoder.layers.0.self_attn"]
    sw.attach(model, "cta")
    assert len(sw.detach(model["encoder"]).replaced) == 3


def test_attached_models_are_pickled():
    model = torch_model().eval()
    before = model(X)
    sw.attach(model, "cta", "vanilla")
    attached = model(X)
    twin = pickle.loads(pickle.dumps(model))
    assert torch.equal(twin(X), attached)
    sw.detach(twin)
    assert torch.equal(twin(X), before)


class TestOwnLayers:
    def test_attention_is_a_switch(self):
        model = own_model()
        before = model(X)
        report = sw.attach(model, "cta")
        heads = list(attention_layers(model).values())
        assert [h.mode for h in heads] == ["cta"] * 3
        assert [(row.was, row.now) for row in report.replaced] == [
            ("CTAHeads, exact", "CTAHeads, cta, l 6, random")] * 3
        for h in heads:
            h.w.fill_(100)
        assert (model(X) - before).abs().max() > 1e-6
        with pytest.raises(ValueError, match="0.attention is replaced already"):
            sw.attach(model, "exact")
        sw.detach(model)
        assert list(attention_layers(model).values()) == heads
        assert [h.mode for h in heads] == ["exact"] * 3
        assert torch.equal(model(X), before)

    def test_options_are_the_models_own(self):
        with pytest.raises(ValueError, match="attention_options is {'l': 4}, must be empty"):
            sw.attach(own_model(), "cta", attention_options={"l": 4})

    def test_ffn(self):
        model = own_model()
        before, names = model(X), list(model.state_dict())
        assert list(ffn_layers(model)) == ["0.ffn", "1.ffn", "2.ffn"]
        report = sw.attach(model, None, "lookup", layers=[1], ffn_options={"h": 4, "tau": 3})
        assert [(row.was, row.now) for row in report.replaced] == [("VanillaFFN", "LookupFFN")]
        assert list(ffn_layers(model)) == ["0.ffn", "1.ffn.ffn", "2.ffn"]
        assert [type(ffn) for ffn in ffn_layers(model).values()] == [
            VanillaFFN, LookupFFN, VanillaFFN]
        model(X).sum().backward()
        assert model[1].ffn.ffn.tables.grad is not None and model[1].aux_loss is None
        sw.detach(model)
        assert torch.equal(model(X), before) and list(model.state_dict()) == names


    def test_masked_language_model(self):
        from sw.lm.config import ModelConfig
        from sw.lm.model import MaskedLM
        model = MaskedLM(ModelConfig(d=32, heads=4, layers=2, context=12, vocab=20)).eval()
        ids = torch.arange(12)[None]
        before = model(ids)
        report = sw.attach(model, "cta", "lookup", ffn_options={"h": 4, "tau": 3})
        assert [row.name for row in report.replaced] == [
            f"layers.{i}.{part}" for i in range(2) for part in ("attention", "ffn")]
        assert not torch.equal(model(ids), before) and model.aux_loss is None
        sw.detach(model)
        assert torch.equal(model(ids), before)


def test_layers_by_name_in_models_of_any_kind():
    model = nn.ModuleDict({"look": LookupFFN(16, 2, 2), "attend": CTAAttention(16, 2),
                           "mlp": VanillaFFN(16)})
    assert list(attention_layers(model)) == ["attend.heads"]
    assert list(ffn_layers(model)) == ["look"]
    assert list(ffn_layers(LookupFFN(16, 2, 2))) == [""]
