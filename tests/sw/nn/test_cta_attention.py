"""CTAAttention is MultiheadAttention to its callers."""

import copy

import pytest
import torch
from torch import nn

from sw.nn.cta_attention import CTAAttention

B, M, N, E = 3, 11, 8, 24


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def torch_attention(**options):
    layer = nn.MultiheadAttention(E, 4, **{"batch_first": True, **options}).double()
    if layer.in_proj_bias is not None:
        nn.init.normal_(layer.in_proj_bias)
        nn.init.normal_(layer.out_proj.bias)
    return layer


def tokens(n):
    return torch.randn(B, n, E, dtype=torch.double)


def padded(n):
    mask = torch.zeros(B, n, dtype=torch.bool)
    mask[0, 5:] = mask[1, :2] = True
    return mask


def close(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_exact_mode_is_torch(bias, batch_first):
    source = torch_attention(bias=bias, batch_first=batch_first)
    layer = CTAAttention.from_torch(source, mode="exact")
    x, y = tokens(M), tokens(N)
    if not batch_first:
        x, y = x.transpose(0, 1), y.transpose(0, 1)
    o, none = layer(x, y, y, key_padding_mask=padded(N))
    assert none is None
    close(o, source(x, y, y, key_padding_mask=padded(N))[0])
    close(layer(x)[0], source(x, x, x)[0])
    # Padding is no query here: compared where there are tokens.
    mine, theirs = (f(x, x, x, key_padding_mask=padded(M), need_weights=False)[0]
                    for f in (layer, source))
    ok = ~padded(M) if batch_first else ~padded(M).T
    close(mine[ok], theirs[ok])
    close(mine[~ok], mine[~ok] * 0 + (source.out_proj.bias if bias else 0))


def test_unbatched_tokens():
    source = torch_attention()
    layer = CTAAttention.from_torch(source, mode="exact")
    x, y, mask = tokens(M)[0], tokens(N)[0], padded(N)[0]
    close(layer(x, y, y, key_padding_mask=mask)[0], source(x, y, y, key_padding_mask=mask)[0])
    layer.heads.mode = "cta"
    close(layer(x)[0], layer(x[None])[0][0])


def test_cta_is_the_heads_and_the_projection():
    layer = CTAAttention(E, 4, l=3, directions="learned", seed=5).double()
    x, mask = tokens(M), padded(M)
    o = layer(x, key_padding_mask=mask)[0]
    assert (layer.heads.counts[:, 0] < layer.heads.lengths[:, 0]).any()
    assert layer.heads.lengths[:, 1].tolist() == (~mask).sum(1).tolist()
    close(o, layer.out_proj(layer.heads(x, valid_q=~mask)))
    assert (layer.heads.l, layer.heads.directions, layer.heads.a.requires_grad) == (
        3, "learned", True)


def test_an_additive_padding_mask_is_understood_and_no_other():
    layer, x = CTAAttention(E, 4).double(), tokens(M)
    additive = torch.zeros(B, M, dtype=torch.double).masked_fill(padded(M), -torch.inf)
    assert torch.equal(layer(x, key_padding_mask=additive)[0],
                       layer(x, key_padding_mask=padded(M))[0])
    for mask in (additive - 1, padded(M).to(torch.int64)):
        with pytest.raises(ValueError, match="key_padding_mask is torch.*, must be bool"):
            layer(x, key_padding_mask=mask)


def test_weights_go_from_torch_and_back():
    source = torch_attention(dropout=0.25, batch_first=False).eval()
    layer = CTAAttention.from_torch(source, mode="cta", l=2)
    assert layer.out_proj is source.out_proj and not layer.training
    assert (layer.embed_dim, layer.num_heads, layer.head_dim, layer.dropout) == (E, 4, 6, 0.25)
    assert layer.heads.a.dtype == layer.heads.w.dtype == torch.double
    back = layer.to_torch()
    assert (back.batch_first, back.dropout, back.training) == (False, 0.25, False)
    for name, value in source.state_dict().items():
        assert torch.equal(back.state_dict()[name], value), name


@pytest.mark.parametrize("training", [True, False])
def test_inside_an_encoder_layer_of_torch(training):
    host = nn.TransformerEncoderLayer(E, 4, 48, dropout=0.0, batch_first=True).double()
    other = copy.deepcopy(host)
    other.self_attn = CTAAttention.from_torch(other.self_attn, mode="exact")
    x, mask = tokens(M), padded(M)
    with torch.set_grad_enabled(training):     # without gradients torch would take its fast path
        y, z = (f.train(training)(x, src_key_padding_mask=mask) for f in (host, other))
    close(y[~mask], z[~mask])
    other.self_attn.heads.mode = "cta"
    other(x, src_key_padding_mask=mask)
    assert other.self_attn.heads.counts.shape == (B, 3)


def test_inside_a_decoder_layer_cross_attention_works_and_a_causal_mask_is_refused():
    host = nn.TransformerDecoderLayer(E, 4, 48, dropout=0.0, batch_first=True).double()
    other = copy.deepcopy(host)
    other.multihead_attn = CTAAttention.from_torch(other.multihead_attn, mode="exact")
    x, y = tokens(M), tokens(N)
    close(host(x, y, memory_key_padding_mask=padded(N)),
          other(x, y, memory_key_padding_mask=padded(N)))
    other.self_attn = CTAAttention.from_torch(other.self_attn)
    mask = nn.Transformer.generate_square_subsequent_mask(M)
    with pytest.raises(ValueError, match="attn_mask is set, must not be: CTA has no mask"):
        other(x, y, tgt_mask=mask)


@pytest.mark.parametrize("given, message", [
    (dict(need_weights=True), "need_weights is True, must be False"),
    (dict(attn_mask=torch.eye(M)), "attn_mask is set, must not be: CTA has no mask between"),
    (dict(is_causal=True), "is_causal is set, must not be: CTA has no mask between"),
    (dict(value=torch.ones(B, M, E)), "value is another tensor than key, must be the same"),
    (dict(key_padding_mask=torch.ones(B, M, dtype=torch.bool)), "sequence 0 has no valid token"),
])
def test_calls_that_cta_cannot_answer_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        CTAAttention(E, 4)(torch.zeros(B, M, E), **given)


@pytest.mark.parametrize("options, message", [
    (dict(kdim=8), "kdim is 8, must be embed_dim = 24"),
    (dict(vdim=8), "vdim is 8, must be embed_dim = 24"),
])
def test_other_key_and_value_dimensions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CTAAttention(E, 4, **options)
    with pytest.raises(ValueError, match=message):
        CTAAttention.from_torch(nn.MultiheadAttention(E, 4, **options))


@pytest.mark.parametrize("name", ["add_bias_kv", "add_zero_attn"])
def test_keys_without_tokens_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} is True, must be False"):
        CTAAttention.from_torch(nn.MultiheadAttention(E, 4, **{name: True}))
