"""Hash functions of a whole model, fitted layer by layer."""

import pytest
import torch
from torch import nn

from sw.nn import widths
from sw.nn.attachment import attach, attention_layers
from sw.nn.calibration import calibrate_layers


def encoder(layers=2, seed=0):
    torch.manual_seed(seed)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def attached(**kwargs):
    model = encoder(**kwargs)
    attach(model, attention="cta")
    return model


X = torch.randn(3, 96, 16, generator=torch.Generator().manual_seed(1))


def test_every_layer_reaches_the_target():
    model = attached(layers=3).eval()
    reached = calibrate_layers(model, lambda: model(X), rl=0.5)
    assert list(reached) == list(attention_layers(model))
    model(X)
    for name, heads in attention_layers(model).items():
        assert heads.ratios()[0] == pytest.approx(reached[name].rl) == pytest.approx(0.5, abs=0.03)


def test_a_layer_is_fitted_to_what_the_fitted_layers_before_it_give():
    model = attached().eval()
    calibrate_layers(model, lambda: model(X), rl=0.4)
    first, second = attention_layers(model).values()
    got = []
    second.register_forward_pre_hook(lambda heads, args, kwargs: got.append(args[0]),
                                     with_kwargs=True)
    model(X)
    before = second.w.clone()
    widths.calibrate(second, got[0], rl=0.4)
    assert torch.equal(second.w, before)


def test_directions_are_fitted_or_kept():
    model = attached()
    a = [heads.a.clone() for heads in attention_layers(model).values()]
    calibrate_layers(model, lambda: model(X), rl=0.5)
    assert all(torch.equal(h.a, old) for h, old in zip(attention_layers(model).values(), a))
    calibrate_layers(model, lambda: model(X), rl=0.5, directions="projection")
    assert not any(torch.equal(h.a, old) for h, old in zip(attention_layers(model).values(), a))


def test_targets_by_layer_leave_the_others_alone():
    model = attached()
    first, second = attention_layers(model)
    w = attention_layers(model)[second].w.clone()
    reached = calibrate_layers(model, lambda: model(X), {first: {"counts": (0.6, 0.5, 0.1)}})
    assert list(reached) == [first]
    assert reached[first].fractions == pytest.approx((0.6, 0.5, 0.1), abs=0.03)
    assert torch.equal(attention_layers(model)[second].w, w)


def test_padding_takes_no_part():
    model, padded = attached().eval(), attached().eval()
    calibrate_layers(model, lambda: model(X[:1, :64]), rl=0.5)
    mask = torch.arange(96)[None] >= 64
    calibrate_layers(padded, lambda: padded(X[:1], src_key_padding_mask=mask), rl=0.5)
    for a, b in zip(attention_layers(model).values(), attention_layers(padded).values()):
        torch.testing.assert_close(a.w, b.w)


def test_training_mode_comes_back():
    model = attached().train()
    model.layers[0].eval()
    calibrate_layers(model, lambda: model(X), rl=0.5)
    assert model.training and model.layers[1].training and not model.layers[0].training


@pytest.mark.parametrize("arguments, message", [
    ({"directions": "learned", "rl": 0.5}, "directions is 'learned', must be one of keep"),
    ({"targets": {"nobody": {"rl": 0.5}}}, "'nobody' is no attention layer, must be among"),
    ({"targets": {}, "rl": 0.5}, "rl is given as well as targets"),
    ({"rl": 1.5}, "layers.0.self_attn.heads: rl is 1.5, must be in"),
])
def test_illegal_arguments_are_refused(arguments, message):
    model = attached()
    with pytest.raises(ValueError, match=message):
        calibrate_layers(model, lambda: model(X), **arguments)


def test_a_model_that_does_not_run_or_has_nothing_to_fit_is_refused():
    model = attached()
    with pytest.raises(ValueError, match="run.. does not call layers.0.self_attn.heads"):
        calibrate_layers(model, lambda: None, rl=0.5)
    for heads in attention_layers(model).values():
        heads.mode = "exact"
    with pytest.raises(ValueError, match="no attention layer in mode 'cta'"):
        calibrate_layers(model, lambda: model(X), rl=0.5)
