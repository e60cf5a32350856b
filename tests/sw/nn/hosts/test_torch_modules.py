"""Layers of torch with their attention and feed-forward networks replaced."""

import copy

import pytest
import torch
from torch import nn

import sw
from sw.nn.attachment import attention_layers, ffn_layers

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True",
                                       "ignore:The PyTorch API of nested tensors")


def encoder(batch_first=True, norm_first=False, activation="gelu", bias=True, heads=4,
            dtype=torch.float64, dropout=0.0):
    torch.manual_seed(2)
    layer = nn.TransformerEncoderLayer(32, heads, 48, dropout, activation, batch_first=batch_first,
                                       norm_first=norm_first, bias=bias, dtype=dtype)
    made = nn.TransformerEncoder(layer, 3)
    with torch.no_grad():               # torch starts all layers alike, and their biases at zero
        for p in made.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return made.eval()


def tokens(batch_first=True, dtype=torch.float64):
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(3, 9, 32, generator=generator, dtype=dtype)
    padding = torch.arange(9) >= torch.tensor([[9], [6], [1]])
    return (x if batch_first else x.transpose(0, 1)), padding


SHAPES = [{}, {"norm_first": True}, {"batch_first": False}, {"activation": nn.functional.silu},
          {"bias": False}, {"heads": 1}, {"activation": nn.ReLU()}]


def named(shape):
    """The same name in every process: no address of a function."""
    return " ".join(f"{key}={getattr(value, '__name__', value)}" for key, value in shape.items()) or "plain"


@pytest.mark.parametrize("shape", SHAPES, ids=named)
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("grad", [True, False])
def test_exact_is_equal(shape, padded, training, grad):
    model = encoder(**shape).train(training)
    first = shape.get("batch_first", True)
    x, padding = tokens(first)
    mask = padding if padded else None
    real = ~padding if padded else torch.ones_like(padding)

    def run():
        with torch.set_grad_enabled(grad):
            y = model(x, src_key_padding_mask=mask)
        return (y if first else y.transpose(0, 1))[real]
    before = run()
    sw.attach(model, "exact")
    assert [h.counts for h in attention_layers(model).values()] == [None] * 3
    torch.testing.assert_close(run(), before, rtol=0, atol=1e-10)
    assert all(h.counts is not None for h in attention_layers(model).values())
    sw.detach(model)
    assert torch.equal(run(), before)


@pytest.mark.parametrize("shape", SHAPES, ids=named)
def test_detach_restores_everything(shape):
    model = encoder(**shape)
    state = copy.deepcopy(model.state_dict())
    order = [name for name, _ in model.named_parameters()]
    plain = [{k: v for k, v in vars(m).items() if not k.startswith("_")} for m in model.modules()]
    sw.attach(model, "cta", "lookup", ffn_options={"h": 4, "tau": 3})
    sw.detach(model)
    assert [name for name, _ in model.named_parameters()] == order
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert plain == [{k: v for k, v in vars(m).items() if not k.startswith("_")}
                     for m in model.modules()]


@pytest.mark.parametrize("layers", [[0], [1], [2], [0, 2]])
@pytest.mark.parametrize("part", ["attention", "ffn"])
def test_replaced_parts_are_never_bypassed(layers, part):
    """Fused kernels and nested tensors would leave no counts, or fail on a layer in between."""
    model = encoder().requires_grad_(False)
    x, padding = tokens()
    with torch.no_grad():
        before = model(x, src_key_padding_mask=padding)
    options = {"attention": "exact"} if part == "attention" else {"attention": None,
                                                                  "ffn": "vanilla"}
    sw.attach(model, layers=layers, **options)
    seen = []
    for ffn in ffn_layers(model).values():      # a hook alone would keep torch from its kernel
        ffn.forward = lambda x, ffn=ffn: seen.append(1) or type(ffn).forward(ffn, x)
    for padded in (padding, None):
        with torch.no_grad():
            after = model(x, src_key_padding_mask=padded)
        if part == "ffn":
            assert len(seen) == len(layers)
            seen.clear()
        elif padded is not None:
            torch.testing.assert_close(after[~padding], before[~padding], rtol=0, atol=1e-10)
        for heads in attention_layers(model).values():
            assert heads.lengths[:, 1].tolist() == ([9, 6, 1] if padded is not None else [9] * 3)
    sw.detach(model)
    assert model.use_nested_tensor
    with torch.no_grad():
        assert torch.equal(model(x, src_key_padding_mask=padding), before)


def test_nested_tensors_stay_off_until_the_last_part_is_detached():
    model = encoder()
    sw.attach(model, "exact", layers=[0])
    sw.attach(model, "exact", layers=[1])
    assert not model.use_nested_tensor
    sw.detach(model)
    assert model.use_nested_tensor and not hasattr(model, "nested_before_attach")
    never = nn.TransformerEncoder(copy.deepcopy(model.layers[0]), 2, enable_nested_tensor=False)
    sw.attach(never, "exact")
    sw.detach(never)
    assert not never.use_nested_tensor


def test_padding_changes_nothing_in_cta():
    model = encoder()
    sw.attach(model, "cta", "vanilla")
    x, padding = tokens()
    with torch.no_grad():
        together = model(x, src_key_padding_mask=padding)
        for i, n in enumerate((9, 6, 1)):
            torch.testing.assert_close(together[i, :n], model(x[i:i + 1, :n])[0],
                                       rtol=0, atol=1e-10)


def test_a_cluster_for_every_token_is_exact_attention():
    model = encoder()
    x, padding = tokens()
    before = model(x, src_key_padding_mask=padding)
    sw.attach(model, "cta")
    for heads in attention_layers(model).values():
        heads.w.fill_(0.3)
    after = model(x, src_key_padding_mask=padding)
    assert next(iter(attention_layers(model).values())).counts[:, 0].tolist() == [9, 6, 1]
    torch.testing.assert_close(after[~padding], before[~padding], rtol=0, atol=1e-9)


def test_trained_weights_are_packed_again():
    model = encoder(dropout=0.1)
    sw.attach(model, "cta", attention_options={"dropout": 0.0})
    heads = list(attention_layers(model).values())
    assert {h.dropout for h in heads} == {0.0}
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    x, padding = tokens()
    model.train()(x, src_key_padding_mask=padding).square().mean().backward()
    optimiser.step()
    for h in heads:
        h.mode = "exact"
    model.eval()
    trained = model(x, src_key_padding_mask=padding)
    weights = [torch.cat([h.q.weight, h.k.weight, h.v.weight]) for h in heads]
    sw.detach(model)
    for layer, weight in zip(model.layers, weights, strict=True):
        assert torch.equal(layer.self_attn.in_proj_weight, weight)
        assert layer.self_attn.dropout == 0.1
    torch.testing.assert_close(model(x, src_key_padding_mask=padding)[~padding], trained[~padding],
                               rtol=0, atol=1e-10)


def test_dropout_of_the_hidden_layer_goes_with_it():
    layer = encoder(dropout=0.5).train().layers[0]
    x, _ = tokens()
    sw.attach(layer, None, "vanilla")
    layer.dropout2.p = 0
    assert torch.equal(layer._ff_block(x), layer.linear1.ffn(x))
    sw.detach(layer)
    assert layer.dropout.p == 0.5


def test_frozen_stays_frozen_and_dtype_follows():
    model = encoder(dtype=torch.float32).requires_grad_(False)
    sw.attach(model, "cta", "vanilla", layers=[0])
    heads = next(iter(attention_layers(model).values()))
    assert not heads.q.weight.requires_grad and not heads.q.bias.requires_grad
    heads.q.requires_grad_(True)
    sw.detach(model.double())
    attention = model.layers[0].self_attn
    assert attention.in_proj_weight.requires_grad and attention.in_proj_bias.requires_grad
    assert not model.layers[1].self_attn.in_proj_weight.requires_grad
    assert {p.dtype for p in model.parameters()} == {torch.float64}


def test_causal_masks_are_refused():
    model = encoder()
    sw.attach(model, "cta")
    x, _ = tokens()
    with pytest.raises(ValueError, match="attn_mask is set, must not be"):
        model(x, mask=nn.Transformer.generate_square_subsequent_mask(9, dtype=x.dtype))


def test_decoder_keeps_its_attention():
    model = nn.Transformer(32, 4, 1, 1, 48, dropout=0.0, batch_first=True).double().eval()
    report = sw.attach(model, "exact", "vanilla")
    assert [(row.name, row.replaced) for row in report.rows] == [
        ("encoder.layers.0.self_attn", True), ("encoder.layers.0.linear1", True),
        ("decoder.layers.0.self_attn", False), ("decoder.layers.0.linear1", True)]
    assert "a causal mask cannot be kept" in report.rows[2].why
    x, _ = tokens()
    assert model(x, x[:, :4]).shape == (3, 4, 32)
    sw.detach(model)
    with pytest.raises(ValueError, match="no attention of this TransformerDecoder can be replaced"):
        sw.attach(model.decoder, "cta")


class Cross(nn.Module):
    def __init__(self, **options):
        super().__init__()
        torch.manual_seed(6)
        self.attention = nn.MultiheadAttention(32, 4, dtype=torch.float64, **options)

    def forward(self, x, y, padding=None):
        return self.attention(x, y, y, key_padding_mask=padding)[0]


@pytest.mark.parametrize("batch_first", [True, False])
def test_multihead_attention_alone(batch_first):
    model = Cross(batch_first=batch_first)
    x, padding = tokens(batch_first)
    own = x[:, :4] if batch_first else x[:4]
    before = model(own, x, padding)
    report = sw.attach(model, "exact")
    assert [(row.name, row.part) for row in report.rows] == [("attention", "attention")]
    torch.testing.assert_close(model(own, x, padding), before, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="need_weights is True"):
        model.attention(x, x, x, need_weights=True)
    with pytest.raises(ValueError, match="attention is replaced already"):
        sw.attach(model, "cta")
    sw.detach(model)
    assert torch.equal(model(own, x, padding), before)


@pytest.mark.parametrize("options, message", [
    ({"kdim": 16, "vdim": 16}, "kdim and vdim are 16 and 16, must be embed_dim = 32"),
    ({"add_bias_kv": True}, "add_bias_kv or add_zero_attn is set"),
    ({"add_zero_attn": True}, "add_bias_kv or add_zero_attn is set"),
])
def test_multihead_attention_that_cta_has_not(options, message):
    with pytest.raises(ValueError, match=message):
        sw.attach(Cross(**options), "cta")


def test_module_in_two_places_is_refused():
    model = nn.ModuleDict({"a": Cross(), "b": Cross()})
    model["b"].attention = model["a"].attention
    with pytest.raises(ValueError, match="one module in several places: a.attention, b.attention"):
        sw.attach(model, "cta")


def test_bare_multihead_attention_is_refused():
    with pytest.raises(ValueError, match="the model is a MultiheadAttention itself"):
        sw.attach(nn.MultiheadAttention(32, 4), "cta")


def test_layers_of_somebody_elses_making_are_refused():
    class Other(nn.TransformerEncoderLayer):
        def _ff_block(self, x):
            return x

    class Counting(nn.MultiheadAttention):
        def forward(self, *args, **kwargs):
            return super().forward(*args, **kwargs)
    with pytest.raises(ValueError, match="Other has a _ff_block of its own"):
        sw.attach(Other(32, 4, 48), None, "vanilla")
    model = Other(32, 4, 48)
    assert len(sw.attach(model, "cta").replaced) == 1
    model = Cross()
    model.attention = Counting(32, 4)
    with pytest.raises(ValueError, match="Counting has a forward of its own"):
        sw.attach(model, "cta")


def test_bare_layer():
    layer = nn.TransformerEncoderLayer(32, 4, 48, 0.0, batch_first=True, dtype=torch.float64).eval()
    x, padding = tokens()
    with torch.no_grad():
        before = layer(x, src_key_padding_mask=padding)
        sw.attach(layer, "exact")
        after = layer(x, src_key_padding_mask=padding)
    torch.testing.assert_close(after[~padding], before[~padding], rtol=0, atol=1e-10)
