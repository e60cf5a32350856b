"""The switch to CTA: layer by layer, on what the layers before give."""

import dataclasses

import pytest
import torch

from sw.lm import stages
from sw.lm.config import ModelConfig
from sw.lm.model import MaskedLM
from sw.nn import directions, widths

CFG = ModelConfig(d=16, heads=2, layers=3, context=64, vocab=50, dropout=0.0, init=1.0)
IDS = torch.randint(50, (4, 64), generator=torch.Generator().manual_seed(3))
TARGET = {"counts": (0.5, 0.4, 0.1)}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MaskedLM(CFG)


def heads(model):
    return [layer.attention.heads for layer in model.layers]


def test_every_layer_reaches_the_target_on_its_own_tokens(model):
    stages.use_cta(model, IDS, TARGET)
    with stages.Ratios(model) as seen, torch.no_grad():
        model.eval()(IDS)
    for rl, ra in seen.layers():
        assert abs(rl - 0.5) < 0.03 and abs(ra - 0.25) < 0.03
    assert abs(seen.mean()[0] - 0.5) < 0.03
    assert seen.layers() == stages.ratios(model)


@pytest.mark.parametrize("kind", ["keep", "projection"])
def test_widths_are_those_fitted_by_hand_in_order(model, kind):
    stages.use_cta(model, IDS, TARGET, kind)
    torch.manual_seed(0)
    other = MaskedLM(CFG).eval()
    with torch.no_grad():
        x = other.embed(IDS)
        for layer in other.layers:
            y = layer.norm1(x)
            if kind == "projection":
                directions.fit(layer.attention.heads, y)
            widths.calibrate(layer.attention.heads, y, **TARGET)
            layer.attention.heads.mode = "cta"
            x = layer(x)
    for one, two in zip(heads(model), heads(other)):
        assert torch.equal(one.w, two.w) and torch.equal(one.a, two.a)


def test_some_layers_and_back(model):
    before = [h.w.clone() for h in heads(model)]
    stages.use_cta(model, IDS, TARGET, layers=(2,))
    assert [h.mode for h in heads(model)] == ["exact", "exact", "cta"]
    assert torch.equal(heads(model)[0].w, before[0]) and (heads(model)[2].w != before[2]).all()
    assert model.training                       # calibration leaves the mode of dropout alone
    assert stages.ratios(model)[0] == (1.0, 1.0)
    stages.use_exact(model)
    assert [h.mode for h in heads(model)] == ["exact"] * 3
    assert not any(h._forward_pre_hooks for h in heads(model))


def test_ratios_are_means_over_forwards(model):
    model = MaskedLM(dataclasses.replace(CFG, attention="cta")).eval()
    with stages.Ratios(model) as seen, torch.no_grad():
        one, two = (model(part) is None or stages.ratios(model) for part in (IDS[:1], IDS[1:2]))
    for mean, a, b in zip(seen.layers(), one, two):
        assert mean == pytest.approx([(x + y) / 2 for x, y in zip(a, b)])
