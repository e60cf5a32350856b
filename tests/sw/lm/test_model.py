"""The masked language model: shapes, padding, chosen places, options."""

import dataclasses

import pytest
import torch

from model.errors import ConfigError
from sw.lm.config import ModelConfig
from sw.lm.model import MaskedLM, waves

SMALL = ModelConfig(d=16, heads=2, layers=2, context=12, vocab=20, dropout=0.0)


def model(**options):
    torch.manual_seed(0)
    return MaskedLM(dataclasses.replace(SMALL, **options)).double().eval()


def ids(batch=3, n=12):
    return torch.randint(20, (batch, n), generator=torch.Generator().manual_seed(1))


OPTIONS = [{}, {"head": "linear", "positions": "waves", "stem": 3},
           {"ffn": "lookup", "ffn_options": {"h": 4, "tau": 3}}, {"attention": "cta"}]


@pytest.mark.parametrize("options", OPTIONS)
def test_chosen_places_are_those_of_all(options):
    m, x = model(**options), ids()
    where = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.3
    every = m(x)
    assert every.shape == (3, 12, 20)
    torch.testing.assert_close(m(x, where), every[where], rtol=0, atol=1e-12)
    assert m(x[:1, :1]).shape == (1, 1, 20)


@pytest.mark.parametrize("options", [OPTIONS[0], OPTIONS[2], OPTIONS[3]])
def test_padding_changes_nothing_before_it(options):
    m, x = model(**options), ids(1, 9)
    padded = torch.cat([x, torch.full((1, 3), 7)], dim=1)
    padding = torch.arange(12)[None] >= 9
    torch.testing.assert_close(m(padded, padding=padding)[:, :9], m(x), rtol=0, atol=1e-12)


def test_pre_norm_by_hand():
    """One layer, exact attention, against the equations written out."""
    m, x = model(layers=1), ids(1)
    layer = m.layers[0]
    h = m.token(x[0]) + m.position[:12]

    def norm(y, n):
        y = (y - y.mean(1, keepdim=True)) / (y.var(1, unbiased=False, keepdim=True) + n.eps).sqrt()
        return y * n.weight + n.bias
    y, a, heads = norm(h, layer.norm1), layer.attention, []
    for i in range(2):
        part = slice(8 * i, 8 * i + 8)
        q, k, v = ((y @ w.weight.T + w.bias)[:, part] for w in (a.heads.q, a.heads.k, a.heads.v))
        p = (q @ k.T / 8**0.5).exp()
        heads.append(p / p.sum(1, keepdim=True) @ v)
    h = h + torch.cat(heads, 1) @ a.out_proj.weight.T + a.out_proj.bias
    h = h + layer.ffn(norm(h, layer.norm2))
    h = norm(h, m.norm)
    g = h @ m.head.dense.weight.T + m.head.dense.bias
    g = norm(g * 0.5 * (1 + torch.erf(g / 2**0.5)), m.head.norm)
    torch.testing.assert_close(m(x)[0], g @ m.token.weight.T + m.head.bias, rtol=0, atol=1e-12)


def test_layers_have_their_own_directions_and_the_head_is_tied():
    m = model(attention="cta")
    a = [layer.attention.heads.a for layer in m.layers]
    assert (a[0] != a[1]).any()
    assert sum(p.shape == (20, 16) for p in m.parameters()) == 1
    again = model(attention="cta", attention_options={"seed": 1})
    torch.testing.assert_close(again.layers[0].attention.heads.a, a[1], rtol=0, atol=0)


def test_waves():
    w = waves(12, 16)
    assert w.shape == (12, 16) and w[0, :8].abs().max() == 0 and (w[0, 8:] == 0.3).all()
    assert len({tuple(row) for row in w.tolist()}) == 12


def test_aux_loss_is_the_layers_sum():
    m = model(ffn="vanilla")
    assert m.aux_loss is None
    m.layers[0].ffn.aux_loss, m.layers[1].ffn.aux_loss = torch.tensor(2.0), torch.tensor(3.0)
    assert m.aux_loss == 5


@pytest.mark.parametrize("options, message", [
    ({"vocab": 0}, "model.vocab is 0, must be at least 2"),
    ({"ffn_options": {"width": 3}}, "'width' of ffn 'vanilla' is unknown"),
    ({"attention_options": {"l": 99}}, "model.attention_options: l is 99"),
    ({"attention_options": {"hashes": 3}}, "model.attention_options"),
])
def test_refusals(options, message):
    with pytest.raises(ConfigError) as error:
        model(**options)
    assert message in str(error.value)


def test_too_long():
    with pytest.raises(ValueError, match="ids has 13 tokens, must have 1..12"):
        model()(ids(1, 13))
