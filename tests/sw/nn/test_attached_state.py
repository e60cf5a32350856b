"""Attached models as things that are saved, copied, wrapped and tampered with: exact, or refused by
name."""

import copy
import io
import pickle
import warnings

import pytest
import torch
import transformers
from torch import nn
from torch.nn.utils import parametrizations

import sw
from sw.nn.attachment import attention_layers
from sw.nn.calibration import FarFromTarget, calibrate_layers
from sw.nn.cta_attention import CTAAttention, NoWeights
from sw.nn.names import plain_names
from sw.nn.quantised_mark import FloatAgain

TINY = dict(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=64, max_position_embeddings=64)
HOSTS = {"bert": lambda: transformers.BertModel(transformers.BertConfig(**TINY)),
         "roberta": lambda: transformers.RobertaModel(transformers.RobertaConfig(**TINY)),
         "distilbert": lambda: transformers.DistilBertModel(transformers.DistilBertConfig(**TINY)),
         "albert": lambda: transformers.AlbertModel(transformers.AlbertConfig(embedding_size=16,
                                                                              **TINY))}
KINDS = {"cta": {}, "exact": {"attention": "exact"},
         "cta and lookup": {"ffn": "lookup", "ffn_options": {"h": 4, "tau": 3, "seed": 1}}}
IDS = torch.arange(3, 35).reshape(2, 16) % 50


def model_of(name, seed=0):
    torch.manual_seed(seed)
    return HOSTS[name]().eval()


def out(model):
    with torch.no_grad():
        return model(IDS).last_hidden_state


@pytest.mark.reliability
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HOSTS)
def test_saved_and_loaded(name, kind, tmp_path, tried):
    """The attached model comes back to the bit; the host's class finds its own q, k and v."""
    model = model_of(name)
    own = {key: value.clone() for key, value in model.state_dict().items()}
    sw.attach(model, **KINDS[kind])
    for heads in attention_layers(model).values():
        heads.w.mul_(1.25)                        # as calibration would
    want = out(model)
    model.save_pretrained(tmp_path)
    again = sw.load_pretrained(tmp_path)
    assert torch.equal(out(again), want)
    host = type(model).from_pretrained(tmp_path)
    for key, value in host.state_dict().items():
        if any(part in key for part in ("query", "key", "value")):
            assert torch.equal(value, own[key]), key
    if "ffn" in KINDS[kind]:            # the folder has no feed-forward network of the host
        with pytest.raises(ValueError, match="cannot be put back: .* has not the network that st"):
            sw.detach(again)
        sw.detach(model)
        again = model
    else:
        sw.detach(again)
    assert "hashlayer" not in again.config.to_dict()
    tried("attach", saved_and_loaded=1)


def test_a_folder_without_an_attached_model(tmp_path):
    with pytest.raises(ValueError, match="holds no saved model"):
        sw.load_pretrained(tmp_path)
    model_of("bert").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="holds no attached model.*use from_pretrained"):
        sw.load_pretrained(tmp_path)


@pytest.mark.reliability
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HOSTS)
def test_pickled_and_copied(name, kind, tried):
    """While attached, and after detach, also where hidden states have been asked for."""
    model = model_of(name)
    sw.attach(model, **KINDS[kind])
    want = out(model)
    assert torch.equal(out(pickle.loads(pickle.dumps(model))), want)
    assert torch.equal(out(copy.deepcopy(model)), want)
    buffer = io.BytesIO()
    torch.save(model, buffer)
    with torch.no_grad():
        assert len(model(IDS, output_hidden_states=True).hidden_states) == 3
    sw.detach(model)
    assert torch.equal(out(pickle.loads(pickle.dumps(model))), out(model))
    with torch.no_grad():
        attentions = model_with_weights(model)(IDS, output_attentions=True).attentions
    assert len(attentions) == 2 and all(a is not None for a in attentions)
    tried("attach", pickled=3)


def model_with_weights(model):
    model.set_attn_implementation("eager")
    return model


def lora(linear):
    """An adapter in the place of a linear, as peft puts it."""
    class Adapter(nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base_layer, self.a = base, nn.Linear(32, 2, bias=False)
            self.b = nn.Linear(2, 32, bias=False)

        def forward(self, x):
            return self.base_layer(x) + self.b(self.a(x))
    return Adapter(linear)


def with_hook(linear):
    linear.register_forward_hook(lambda *args: None)
    return linear


def with_pre_hook(linear):
    linear.register_forward_pre_hook(lambda *args: None)
    return linear


def with_forward(linear):
    linear.forward = lambda x: x
    return linear


CHANGES = {"LoRA": (lora, "is a Adapter, CTA needs an nn.Linear"),
           "hook": (with_hook, "has a forward hook"),
           "pre-hook": (with_pre_hook, "has a forward pre hook"),
           "parametrisation": (parametrizations.weight_norm, "is a ParametrizedLinear|has a param"),
           "forward": (with_forward, "has a forward of its own")}


@pytest.mark.reliability
@pytest.mark.parametrize("which", ["q", "k", "v"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_put_around_a_linear(change, which, tmp_path, tried):
    """Before attach and after it: at attach, forward, quantise, export and detach."""
    make, text = CHANGES[change]
    host = {"q": "query", "k": "key", "v": "value"}[which]
    before = model_of("bert")
    for layer in before.encoder.layer:
        setattr(layer.attention.self, host, make(getattr(layer.attention.self, host)))
    with pytest.raises(ValueError, match=f"{host} ({text})"):
        sw.attach(before, "cta")

    model = model_of("bert")
    sw.attach(model, "cta")
    heads = next(iter(attention_layers(model).values()))
    setattr(heads, which, make(getattr(heads, which)))
    for name, act in {"forward": lambda: model(IDS), "detach": lambda: sw.detach(model),
                      "quantise": lambda: sw.quantise_model(model, [IDS])}.items():
        with pytest.raises(ValueError, match=f"{which} ({text})"):
            act()
            pytest.fail(name)
    quantised = model_of("bert")
    sw.attach(quantised, "cta")
    sw.quantise_model(quantised, [IDS])
    heads = next(iter(attention_layers(quantised).values()))
    setattr(heads, which, make(getattr(heads, which)))
    with pytest.raises(ValueError, match=f"{which} ({text})"):
        sw.export(quantised, tmp_path / "export")
    with pytest.raises(ValueError, match=f"{which} ({text})"):
        quantised(IDS)
    tried("attach", tampered=6)


def test_a_hook_on_what_is_replaced_is_not_lost():
    model = model_of("bert")
    for layer in model.encoder.layer:
        layer.attention.self.register_forward_hook(lambda *args: None)
    with pytest.raises(ValueError, match="it has a forward hook, which what takes its place"):
        sw.attach(model, "cta")
    other = model_of("bert")
    for layer in other.encoder.layer:
        layer.output.dense.register_forward_pre_hook(lambda *args: None)
    with pytest.raises(ValueError, match="output.dense: it has a forward pre hook"):
        sw.attach(other, None, "lookup", ffn_options={"h": 4, "tau": 3})


BEFORE = {"attention.self": "attention", "attention.self.dropout": "attention",
          "intermediate": "ffn", "intermediate.dense": "ffn", "output.dense": "ffn"}
AFTER = ("attention.self", "attention.self.heads", "intermediate", "output.dense")
LOOKUP = {"ffn": "lookup", "ffn_options": {"h": 4, "tau": 3}}


@pytest.mark.reliability
@pytest.mark.parametrize("change", [with_hook, with_pre_hook, with_forward])
def test_nothing_on_a_replaced_module_is_dropped(change, tried):
    """Before attach on any module that goes, after it on any that detach takes away."""
    for path, part in BEFORE.items():
        model = model_of("bert")
        change(model.encoder.layer[0].get_submodule(path))
        report = sw.attach(model, "cta", **LOOKUP)
        row = next(row for row in report.rows if (row.layer, row.part) == (0, part))
        assert not row.replaced and path in row.why and "takes its place" in row.why
    for path in AFTER:
        model = model_of("bert")
        sw.attach(model, "cta", **LOOKUP)
        change(model.encoder.layer[1].get_submodule(path))
        with pytest.raises(ValueError, match=f"layer.1.* cannot be put back: {path}: it has a for"):
            sw.detach(model)
        assert len(attention_layers(model)) == 2, "refused after something was put back"
    tried("attach", tampered=len(BEFORE) + len(AFTER))


def encoder():
    torch.manual_seed(0)
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2).eval()


X = torch.linspace(-2, 2, 2 * 16 * 32).reshape(2, 16, 32).sin()


@pytest.mark.reliability
@pytest.mark.parametrize("kind", KINDS)
def test_torch_encoder_pickled_and_copied(kind, tried):
    model = encoder()
    want = {key: value.clone() for key, value in model.state_dict().items()}
    sw.attach(model, **KINDS[kind])
    y = model(X)
    assert torch.equal(pickle.loads(pickle.dumps(model))(X), y)
    assert torch.equal(copy.deepcopy(model)(X), y)
    again = encoder()
    sw.attach(again, **KINDS[kind])
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(X), y)
    sw.detach(model)
    assert all(torch.equal(value, want[key]) for key, value in model.state_dict().items())
    pickle.dumps(model)
    tried("attach", pickled=3)


@pytest.mark.reliability
@pytest.mark.parametrize("which", ["q", "k", "v"])
@pytest.mark.parametrize("change", CHANGES)
def test_torch_encoder_tampered(change, which, tried):
    make, text = CHANGES[change]
    model = encoder()
    sw.attach(model, "cta")
    heads = next(iter(attention_layers(model).values()))
    setattr(heads, which, make(getattr(heads, which)))
    for act in (lambda: model(X), lambda: sw.quantise_model(model, [X]), lambda: sw.detach(model)):
        with pytest.raises(ValueError, match=f"{which} ({text})"):
            act()
    tried("attach", tampered=3)


def test_torch_encoder_before_attach():
    """What torch's own layer would do otherwise than its class stays, and the report says why."""
    changes = {"parametrisation on in_proj_weight": lambda layer: parametrizations.weight_norm(
                   layer.self_attn, "in_proj_weight"),
               "self_attn: it has a forward hook": lambda layer: with_hook(layer.self_attn),
               "self_attn: it has a forward of": lambda layer: with_forward(layer.self_attn),
               "has a _sa_block of its own": lambda layer: setattr(layer, "_sa_block", None)}
    for text, change in changes.items():
        model = encoder()
        change(model.layers[0])
        report = sw.attach(model, "cta")
        assert text in next(row.why for row in report.rows if row.layer == 0)


def test_an_adapter_on_the_output_projection_is_not_dropped():
    model = encoder()
    sw.attach(model, "cta")
    model.layers[0].self_attn.out_proj = lora(model.layers[0].self_attn.out_proj)
    with pytest.raises(ValueError, match="out_proj is a Adapter put there after attach"):
        sw.detach(model)
    albert = model_of("albert")
    sw.attach(albert, "cta")
    attention = albert.encoder.albert_layer_groups[0].albert_layers[0].attention
    attention.dense = lora(attention.dense)
    with pytest.raises(ValueError, match="dense is a Adapter put there after attach"):
        sw.detach(albert)


def test_a_subclass_of_attention_with_a_forward_of_its_own():
    class Mine(transformers.models.bert.modeling_bert.BertSelfAttention):
        def forward(self, *args, **kwargs):
            return super().forward(*args, **kwargs)
    model = model_of("bert")
    model.encoder.layer[0].attention.self = Mine(model.config)
    assert "Mine has a forward of its own" in str(sw.attach(model, "cta"))


@pytest.mark.parametrize("kind", ["BertForMaskedLM", "BertForSequenceClassification"])
def test_models_with_a_head(kind, tmp_path):
    """Tied weights are saved once."""
    torch.manual_seed(0)
    model = getattr(transformers, kind)(transformers.BertConfig(**TINY)).eval()
    sw.attach(model, "cta")
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(sw.load_pretrained(tmp_path)(IDS).logits, model(IDS).logits)


def test_what_changes_after_attach_is_saved(tmp_path):
    """Modes and kinds of directions as they are, not as attach set them."""
    model = model_of("bert")
    sw.attach(model, "cta")
    first, second = attention_layers(model).values()
    calibrate_layers(model, lambda: model(IDS), rl=0.8, directions="projection")
    second.mode = "exact"
    model.save_pretrained(tmp_path)
    again = sw.load_pretrained(tmp_path)
    assert torch.equal(out(again), out(model))
    assert [(heads.mode, heads.directions) for heads in attention_layers(again).values()] == [
        ("cta", "projection"), ("exact", "projection")]


def test_a_saved_quantised_model_comes_back_in_float_and_warns(tmp_path):
    model = model_of("bert")
    sw.attach(model, "cta")
    sw.quantise_model(model, [IDS])
    model.save_pretrained(tmp_path / "fake")
    with pytest.warns(FloatAgain, match="was saved quantised and is in float here"):
        sw.load_pretrained(tmp_path / "fake")
    sw.float_model(model)
    model.save_pretrained(tmp_path / "float")
    with warnings.catch_warnings():
        warnings.simplefilter("error", FloatAgain)
        assert torch.equal(out(sw.load_pretrained(tmp_path / "float")), out(model))


def test_nothing_to_quantise():
    with pytest.raises(ValueError, match="BertModel has no CTAHeads and no LookupFFN to quantise"):
        sw.quantise_model(model_of("bert"), [IDS])


def test_a_quantised_state_in_a_float_model_warns():
    model, other = model_of("bert"), model_of("bert")
    for one in (model, other):
        sw.attach(one, "cta")
    sw.quantise_model(model, [IDS])
    with pytest.warns(FloatAgain, match="was saved quantised and is in float here"):
        other.load_state_dict(model.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.load_state_dict(model.state_dict())


def test_a_calibration_far_from_its_target_warns():
    model = model_of("bert")
    sw.attach(model, "cta")
    with pytest.warns(FarFromTarget, match=r"RL .* for 0.3"):
        calibrate_layers(model, lambda: model(torch.randint(50, (2, 3))), rl=0.3)


@pytest.mark.parametrize("name", ["compiled", "parallel", "both"])
def test_wrappers_leave_no_trace_in_names(name, tmp_path):
    model = model_of("bert")
    sw.attach(model, "cta")
    sw.quantise_model(model, [IDS])
    plain = sw.export(model, tmp_path / "plain")
    wrapped = nn.DataParallel(model) if name != "compiled" else model
    wrapped = torch.compile(wrapped) if name != "parallel" else wrapped
    again = sw.export(wrapped, tmp_path / "wrapped")
    assert [layer["name"] for layer in again["layers"]] == [layer["name"] for layer in plain["layers"]]
    assert set(sw.on_engine(wrapped, tmp_path / "plain")) == {
        layer["name"] for layer in plain["layers"]}
    assert all("_orig_mod" not in name and not name.startswith("module")
               for name in plain_names(wrapped).values())


def test_calls_of_multihead_attention():
    """What torch takes and means nothing is taken; what CTA lacks is told."""
    torch.manual_seed(1)
    attention, x = CTAAttention(32, 4).eval(), torch.randn(2, 9, 32)
    with torch.no_grad():
        want = attention(x, x, x, need_weights=False)[0]
        padding = torch.zeros(2, 9, dtype=torch.bool)
        padding[1, 6:] = True
        masked = attention(x, x, x, padding, need_weights=False)[0]
        for low in (-1e9, torch.finfo(torch.float32).min, -torch.inf, -1e4):
            mask = torch.zeros(2, 9).masked_fill(padding, low)
            assert torch.equal(attention(x, x, x, mask, need_weights=False)[0], masked)
        for nothing in (torch.zeros(9, 9), torch.zeros(9, 9, dtype=torch.bool)):
            got = attention(x, x, x, attn_mask=nothing, need_weights=False)[0]
            assert torch.equal(got, want)
        got = attention(x, x.clone(), x.clone(), need_weights=False)[0]
        assert torch.equal(got, want)
        with pytest.raises(ValueError, match="at most -10000 for padding"):
            attention(x, x, x, torch.full((2, 9), -5.0), need_weights=False)
        CTAAttention._warned = False
        with pytest.warns(NoWeights, match="gives None for the attention weights"):
            assert attention(x, x, x)[1] is None


def test_training_on_an_engine_warns(tmp_path):
    from sw.exported.hooks import NoGradient
    model = model_of("bert")
    sw.attach(model, "cta")
    sw.quantise_model(model, [IDS])
    sw.export(model, tmp_path / "export")
    sw.on_engine(model, tmp_path / "export")
    with warnings.catch_warnings():
        warnings.simplefilter("error", NoGradient)
        out(model)
    with pytest.warns(NoGradient, match="the engine gives no gradients"):
        model.train()(IDS)


def test_compilers():
    """torch.compile gives the same, in parts; where it may not have parts, torch refuses."""
    model = model_of("bert")
    sw.attach(model, "cta")
    want = out(model)
    torch._dynamo.reset()
    with torch.no_grad():
        got = torch.compile(model, backend="eager")(IDS).last_hidden_state
        torch.testing.assert_close(got, want)
        torch._dynamo.reset()
        with pytest.raises(Exception, match="(?i)data.dependent"):
            torch.compile(model, backend="eager", fullgraph=True)(IDS)
        with pytest.raises(Exception, match="(?i)data.dependent"):
            torch.export.export(model, (IDS,))
