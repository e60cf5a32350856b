"""The encoder layer of our own language models: pre-norm, any attention, any feed-forward layer."""

import torch
from torch import Tensor, nn

from model.errors import ConfigError

__all__ = ["EncoderLayer"]


class EncoderLayer(nn.Module):
    """x = x + dropout(attention(norm1(x))), then x = x + dropout(ffn(norm2(x))).

    Normalisation comes before each block, as in the models of the LookupFFN paper (Sec. 5) and in
    the authors' code; the model that stacks these layers ends with one more.

    Parameters
    ----------
    d, heads : token dimension and attention heads; those of ``attention``.
    ffn : a module (..., d) -> (..., d), such as :func:`sw.nn.ffn.registry.make_ffn` returns.
    attention : a :class:`sw.nn.cta_attention.CTAAttention`, batch first. Ordinary attention is its
        mode "exact", so that CTA is a switch and not another model.
    dropout : of what each of the two blocks adds to x.

    Members
    -------
    norm1, attention, norm2, ffn, dropout : the modules.
    aux_loss : the loss of the feed-forward layer's own after a training forward, else None.
    kept : what :func:`sw.attach` puts aside until :func:`sw.detach`; not part of the state.

    Raises ConfigError where ``attention`` has another shape than ``d`` and ``heads``.
    """

    def __init__(self, d: int, heads: int, ffn: nn.Module, attention: nn.Module,
                 dropout: float = 0.1):
        super().__init__()
        for name, value in (("d", d), ("heads", heads)):
            other = getattr(attention.heads, "dim" if name == "d" else "heads")
            if other != value:
                raise ConfigError(f"attention has {name} = {other}, must be the layer's {value}")
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout is {dropout!r}, must be in [0, 1)")
        self.norm1 = nn.LayerNorm(d)
        self.attention = attention
        self.norm2 = nn.LayerNorm(d)
        self.ffn = ffn
        self.dropout = nn.Dropout(dropout)
        self.kept = {}

    @property
    def aux_loss(self) -> Tensor | None:
        return getattr(self.ffn, "aux_loss", None)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """(B, n, d) -> (B, n, d).

        ``padding`` (B, n) bool, True where there is no token: no token attends there. What comes
        out in these places is finite and means nothing.
        """
        if padding is not None and padding.dtype != torch.bool:
            raise ValueError(f"padding is {padding.dtype}, must be bool, True = no token")
        y = self.norm1(x)
        x = x + self.dropout(self.attention(y, y, y, key_padding_mask=padding, need_weights=False)[0])
        return x + self.dropout(self.ffn(self.norm2(x)))
