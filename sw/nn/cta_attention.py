"""Multi-head attention by CTA with the call of torch.nn.MultiheadAttention."""

import warnings

import torch
from torch import Tensor, nn

from sw.nn.cta_heads import CTAHeads

__all__ = ["CTAAttention", "NoWeights", "PADDED"]

CAUSAL = ("CTA has no mask between queries and keys: the queries of a cluster share one output, "
          "and centroids mix a token with later ones. Only padding can be masked")


PADDED = -1e4
"""What an additive mask has at most for padding: the exponential of it is zero in any dtype."""


class NoWeights(UserWarning):
    """A call that in torch gives attention weights has given none."""


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are one, or equal in shape and values."""
    if one is other:
        return True
    if one.shape != other.shape or one.dtype != other.dtype or one.device != other.device:
        return False
    if (one.data_ptr(), one.stride()) == (other.data_ptr(), other.stride()):
        return True
    # Gradients of two tensors that are merely equal would all go to one of them.
    if torch.is_grad_enabled() and (one.requires_grad or other.requires_grad):
        return False
    return bool(torch.equal(one, other))


def _masks_nothing(mask: Tensor | None) -> bool:
    if mask is None:
        return True
    return not bool(mask.any()) if mask.dtype == torch.bool else bool((mask == 0).all())


class CTAAttention(nn.Module):
    """Attention of :class:`CTAHeads` and the output projection; drop-in for MultiheadAttention.

    Parameters
    ----------
    embed_dim, num_heads, dropout, bias, kdim, vdim, batch_first : as in MultiheadAttention, but
        batch_first is True by default, and kdim and vdim have to be embed_dim: keys and values
        come from the same tokens, which CTA clusters once.
    options : l, directions, shared, seed, mode of :class:`CTAHeads`.

    ``heads`` is the CTAHeads, ``out_proj`` the nn.Linear after it.
    """

    # TransformerEncoderLayer looks at these to find out whether its fused kernel may replace the
    # call of this module. A missing bias says no.
    in_proj_bias = None
    _warned = False
    _qkv_same_embed_dim = True

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
                 kdim: int | None = None, vdim: int | None = None, batch_first: bool = True,
                 **options):
        super().__init__()
        for name, value in (("kdim", kdim), ("vdim", vdim)):
            if value is not None and value != embed_dim:
                raise ValueError(f"{name} is {value}, must be embed_dim = {embed_dim}: "
                                 "CTA takes keys and values from the same tokens")
        self.heads = CTAHeads(embed_dim, num_heads, bias=bias, dropout=dropout, **options)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.batch_first = batch_first

    @property
    def embed_dim(self) -> int:
        return self.heads.dim

    @property
    def num_heads(self) -> int:
        return self.heads.heads

    @property
    def head_dim(self) -> int:
        return self.heads.dim // self.heads.heads

    @property
    def dropout(self) -> float:
        return self.heads.dropout

    def forward(self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None,
                key_padding_mask: Tensor | None = None, need_weights: bool | None = None,
                attn_mask: Tensor | None = None, average_attn_weights: bool = True,
                is_causal: bool = False) -> tuple[Tensor, None]:
        """(output, None), the output like ``query``: (B, m, E), (m, B, E) or unbatched (m, E).

        ``key`` None, or equal to ``query``, is self-attention; ``value`` None or equal to ``key``.
        ``key_padding_mask`` (B, n): bool, True for padding, or float with 0 for tokens and at most
        :data:`PADDED` for padding. In self-attention padding is no query either: its output is the
        bias of ``out_proj``. An ``attn_mask`` that masks nothing is taken.

        Raises ValueError for other attention masks, ``is_causal``, ``need_weights``, other values
        than keys, and a sequence that is all padding. Where ``need_weights`` is left to its default,
        which torch has as True, :class:`NoWeights` warns once that there are none.
        """
        if is_causal or not _masks_nothing(attn_mask):
            raise ValueError(f"{'attn_mask' if attn_mask is not None else 'is_causal'} is set, must "
                             f"not be: {CAUSAL}")
        if need_weights:
            raise ValueError("need_weights is True, must be False: CTA never makes the "
                             "probabilities of single tokens")
        if need_weights is None and not CTAAttention._warned:
            CTAAttention._warned = True
            warnings.warn("CTAAttention gives None for the attention weights, which torch gives by "
                          "default: say need_weights=False", NoWeights, stacklevel=2)
        key = query if key is None else key
        if value is not None and not _same(value, key):
            raise ValueError("value is another tensor than key, must be the same, or equal where no "
                             "gradient is wanted: CTA takes keys and values from the same tokens")
        own = _same(key, query)
        batched = query.dim() == 3
        valid = _valid(key_padding_mask)
        if not batched:
            query, key = query[None], key[None]
            valid = None if valid is None else valid[None]
        elif not self.batch_first:
            query, key = query.transpose(0, 1), key.transpose(0, 1)
        o = self.heads(query, None if own else key, valid_kv=valid)
        o = self.out_proj(o)
        if not batched:
            return o[0], None
        return (o if self.batch_first else o.transpose(0, 1)), None

    # -- from and to torch ----------------------------------------------------------------------

    @classmethod
    def from_torch(cls, source: nn.MultiheadAttention, **options) -> "CTAAttention":
        """A CTAAttention with the weights of ``source``: q, k, v copied, ``out_proj`` shared.

        Same device, dtype, dropout, training state and batch_first. Raises ValueError for
        what CTA does not have: kdim or vdim of their own, add_bias_kv, add_zero_attn.
        """
        if source.bias_k is not None or source.add_zero_attn:
            name = "add_bias_kv" if source.bias_k is not None else "add_zero_attn"
            raise ValueError(f"{name} is True, must be False: CTA has no keys without a token")
        bias = source.in_proj_bias is not None
        layer = cls(source.embed_dim, source.num_heads, source.dropout, bias, source.kdim,
                    source.vdim, source.batch_first, **options)
        layer.to(source.in_proj_weight)
        heads = layer.heads
        with torch.no_grad():
            for linear, weight in zip((heads.q, heads.k, heads.v), source.in_proj_weight.chunk(3)):
                linear.weight.copy_(weight)
            if bias:
                for linear, part in zip((heads.q, heads.k, heads.v), source.in_proj_bias.chunk(3)):
                    linear.bias.copy_(part)
        layer.out_proj = source.out_proj
        return layer.train(source.training)

    def to_torch(self) -> nn.MultiheadAttention:
        """A MultiheadAttention with this layer's weights: exact attention, nothing of CTA left."""
        heads = self.heads
        linears = (heads.q, heads.k, heads.v)
        bias = heads.q.bias is not None
        target = nn.MultiheadAttention(self.embed_dim, self.num_heads, self.dropout, bias,
                                       batch_first=self.batch_first)
        target.to(heads.q.weight)
        with torch.no_grad():
            target.in_proj_weight.copy_(torch.cat([linear.weight for linear in linears]))
            if bias:
                target.in_proj_bias.copy_(torch.cat([linear.bias for linear in linears]))
        target.out_proj = self.out_proj
        return target.train(self.training)


def _valid(mask: Tensor | None) -> Tensor | None:
    """Torch's padding mask, bool or additive, as True for a real token."""
    if mask is None or mask.dtype == torch.bool:
        return None if mask is None else ~mask
    if not mask.is_floating_point() or not bool(((mask == 0) | (mask <= PADDED)).all()):
        raise ValueError(f"key_padding_mask is {mask.dtype}, must be bool, True for padding, or "
                         f"float with 0 for tokens and at most {PADDED:g} for padding")
    return mask == 0
