"""The pre-norm layer against torch's own."""

import copy

import pytest
import torch
from torch import nn

from model.errors import ConfigError
from sw.nn.cta_attention import CTAAttention
from sw.nn.encoder_layer import EncoderLayer
from sw.nn.ffn.vanilla import VanillaFFN


def pair():
    """Torch's pre-norm layer, and ours with its weights."""
    torch.manual_seed(0)
    theirs = nn.TransformerEncoderLayer(32, 4, 48, 0.0, "gelu", batch_first=True, norm_first=True,
                                        dtype=torch.float64)
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(0.2 * torch.randn_like(p))
    attention = CTAAttention.from_torch(copy.deepcopy(theirs.self_attn), mode="exact")
    ours = EncoderLayer(32, 4, VanillaFFN(32, 48), attention, 0.0).double()
    ours.norm1, ours.norm2 = theirs.norm1, theirs.norm2
    ours.ffn.up, ours.ffn.down = theirs.linear1, theirs.linear2
    return theirs.train(), ours.train()


def test_is_torchs_layer():
    theirs, ours = pair()
    x = torch.randn(2, 7, 32, dtype=torch.float64)
    padding = torch.tensor([[False] * 7, [False] * 3 + [True] * 4])
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)
    torch.testing.assert_close(ours(x, padding)[~padding],
                               theirs(x, src_key_padding_mask=padding)[~padding],
                               rtol=0, atol=1e-10)


@pytest.mark.parametrize("mode", ["exact", "cta"])
def test_padding_changes_nothing(mode):
    _, ours = pair()
    ours.attention.heads.mode = mode
    x = torch.randn(2, 7, 32, dtype=torch.float64)
    padding = torch.tensor([[False] * 7, [False] * 3 + [True] * 4])
    y = ours(x, padding)
    assert torch.isfinite(y).all()
    torch.testing.assert_close(y[1, :3], ours(x[1:, :3])[0], rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="padding is torch.int64, must be bool"):
        ours(x, padding.long())


def test_modes_differ():
    _, ours = pair()
    x = torch.randn(2, 7, 32, dtype=torch.float64)
    exact = ours(x)
    ours.attention.heads.mode = "cta"
    ours.attention.heads.w.fill_(100)
    assert (ours(x) - exact).abs().max() > 1e-3


def test_dropout_is_of_what_the_blocks_add():
    _, ours = pair()
    ours.dropout.p = 1 - 1e-9
    x = torch.randn(2, 7, 32, dtype=torch.float64)
    assert torch.equal(ours(x), x)
    assert not torch.equal(ours.eval()(x), x)


def test_aux_loss_is_that_of_the_ffn():
    _, ours = pair()
    assert ours.aux_loss is None
    ours.ffn.aux_loss = torch.tensor(0.5)
    assert ours.aux_loss == 0.5


@pytest.mark.parametrize("d, heads, dropout, message", [
    (64, 4, 0.1, "attention has d = 32, must be the layer's 64"),
    (32, 2, 0.1, "attention has heads = 4, must be the layer's 2"),
    (32, 4, 1.0, r"dropout is 1.0, must be in \[0, 1\)"),
])
def test_refused(d, heads, dropout, message):
    with pytest.raises(ConfigError, match=message):
        EncoderLayer(d, heads, nn.Identity(), CTAAttention(32, 4), dropout)
