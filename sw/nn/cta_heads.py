"""Attention of all heads of a layer by CTA, without the output projection.

The engine of this project ends where this module does: with the heads' outputs side by side. The
paper leaves the output projection to the host, and so do the layers here.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.cta.cost import attention_ratio, linear_ratio
from sw.nn import clustering
from sw.nn.directions import DIRECTIONS, pull, random_directions
from sw.nn.intact import require_plain
from sw.nn.quantised_mark import mark

__all__ = ["MODES", "CTAHeads"]

MODES = ("cta", "exact")


class CTAHeads(nn.Module):
    """Multi-head attention on compressed tokens: (B, m, dim), (B, n, dim) -> (B, m, dim).

    Queries are the centroids C0 of the query tokens; keys and values of a token are the sum of
    those of its centroid C1 and of the centroid C2 of its residual (CTA, Sec. III). So with
    j over the key tokens, K_j = C1[ct1_j] Wk + C2[ct2_j] Wk, V_j alike with the value bias once,

        O_i = softmax_j(Q[ct0_i] K_j / sqrt(dim/heads)) V_j

    which is ``model.cta.reference.attention_cta`` for each head, and equals the paper's Fig. 6.
    The hash works on whole tokens, so the heads share the clusters. Gradients go through the
    means of eq. 2; the codes have none (learned directions: see ``sw.nn.directions``).

    Parameters
    ----------
    dim, heads : token dimension and number of heads, which divides it.
    bias : whether q, k and v have one. That of k cancels in the softmax.
    l : hash functions an LSH, 1..8.
    directions : "random" (the paper), "projection" (random until ``directions.fit``) or "learned".
    shared : one A for all three LSHs, at the start.
    seed : of the directions and offsets.
    mode : "cta", or "exact" for ordinary softmax attention with the same weights.
    dropout : of the attention probabilities, in training.

    Attributes
    ----------
    q, k, v : nn.Linear(dim, dim). ``attach`` puts the host model's own here.
    a : (3, l, dim) Parameter; it has a gradient only if directions == "learned".
    offset : (3, l) in [0, 1), in buckets; w : (3,) bucket widths. Buffers. The widths are a guess
        until ``widths.calibrate`` sets them.
    fake : None, or what to call instead: fake(heads, xq, xkv, valid_q, valid_kv) -> (B, m, dim),
        xkv None for self-attention.
    counts : (B, 3) k0 k1 k2 of the last forward, int64 (m, n, 0 if exact); lengths : (B, 2) its
        m and n, valid tokens only. None before. A fake may set counts.
    """

    def __init__(self, dim: int, heads: int, *, bias: bool = True, l: int = 6,  # noqa: E741
                 directions: str = "random", shared: bool = True, seed: int = 0,
                 mode: str = "cta", dropout: float = 0.0):
        super().__init__()
        if dim < 1 or heads < 1 or dim % heads:
            raise ValueError(f"heads is {heads}, must be at least 1 and divide dim = {dim}")
        if not 1 <= l <= clustering.MAX_L:
            raise ValueError(f"l is {l}, must be in 1..{clustering.MAX_L}")
        if directions not in DIRECTIONS:
            raise ValueError(f"directions is {directions!r}, must be one of {DIRECTIONS}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}, must be in [0, 1)")
        self.dim, self.heads, self.l, self.dropout = dim, heads, l, dropout
        self.directions, self.mode = directions, mode
        self.q, self.k, self.v = (nn.Linear(dim, dim, bias=bias) for _ in range(3))
        a, offset = random_directions(dim, l, seed, shared)
        kind = self.q.weight.dtype
        self.a = nn.Parameter(a.to(kind), requires_grad=directions == "learned")
        self.register_buffer("offset", offset.to(kind))
        # A token after LayerNorm projects to about sqrt(dim), a residual to less.
        self.register_buffer("w", torch.tensor([1.0, 1.0, 0.5], dtype=kind) * math.sqrt(dim))
        self.fake = None
        mark(self)
        self.counts: Tensor | None = None
        self.lengths: Tensor | None = None

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, value: str) -> None:
        if value not in MODES:
            raise ValueError(f"mode is {value!r}, must be one of {MODES}")
        self._mode = value

    def extra_repr(self) -> str:
        return (f"dim={self.dim}, heads={self.heads}, l={self.l}, "
                f"directions={self.directions!r}, mode={self.mode!r}")

    def forward(self, xq: Tensor, xkv: Tensor | None = None, valid_q: Tensor | None = None,
                valid_kv: Tensor | None = None) -> Tensor:
        """Outputs of the heads side by side (B, m, dim); zeros for padded queries.

        ``xq`` (B, m, dim), ``xkv`` (B, n, dim), or None for self-attention; there one of the two
        masks, bool with True for real tokens, is enough. Raises ValueError for a sequence
        without a valid token and for shapes that do not fit.
        """
        if xkv is None:
            valid_q = valid_kv if valid_q is None else valid_q
            valid_kv = valid_q if valid_kv is None else valid_kv
        keys = xq if xkv is None else xkv
        for name, x, valid in (("xq", xq, valid_q), ("xkv", keys, valid_kv)):
            if x.dim() != 3 or x.shape[2] != self.dim or len(x) != len(xq):
                raise ValueError(f"{name} is {tuple(x.shape)}, must be "
                                 f"({len(xq)}, tokens, {self.dim})")
            clustering.check_valid(valid, *x.shape[:2])
        self.counts = None
        self.lengths = torch.stack([_lengths(xq, valid_q), _lengths(keys, valid_kv)], dim=1)
        if self.fake is not None:
            require_plain(self, "fake or engine in the place of q, k and v")
            return self.fake(self, xq, xkv, valid_q, valid_kv)
        if self.mode == "exact":
            self.counts = F.pad(self.lengths, (0, 1))
            o = self._attend(self.q(xq), self.k(keys), self.v(keys), valid_kv)
        else:
            require_plain(self, "CTA of q, k and v")
            o = self._compressed(xq, keys, valid_q, valid_kv)
        return o if valid_q is None else o.masked_fill(~valid_q[..., None], 0)

    def ratios(self) -> tuple[float, float]:
        """RL and RA of the last forward, means over its sequences.

        RL = (k0 + 2 k) / (m + 2 n) of the rows of the linears is left, RA = k0 k / (m n) of the
        query-key pairs, with k = k1 + k2. Raises RuntimeError before the first forward.
        """
        if self.counts is None:
            raise RuntimeError("no counts: ratios() needs a forward first")
        k0, k1, k2 = self.counts.double().unbind(1)
        m, n = self.lengths.double().unbind(1)
        k = k1 + k2
        return (float(linear_ratio(m, n, k0, k).mean()),
                float(attention_ratio(m, n, k0, k).mean()))

    # -- tokens to centroids to outputs ---------------------------------------------------------

    def _compressed(self, xq, xkv, valid_q, valid_kv):
        level0 = self._compress(0, xq, valid_q)
        level1 = self._compress(1, xkv, valid_kv)
        level2 = self._compress(2, xkv - level1.read(level1.c), valid_kv)
        self.counts = torch.stack([level0.k, level1.k, level2.k], dim=1)
        # Rows of centroids are what the linears work on: that is where CTA saves.
        k, v = (level1.read(linear(level1.c)) + level2.read(F.linear(level2.c, linear.weight))
                for linear in (self.k, self.v))
        return level0.read(self._attend(self.q(level0.c), k, v, valid_kv))

    def _compress(self, level, x, valid):
        """One LSH: clusters of its tokens and their centroids."""
        a, w = self.a[level], self.w[level]
        codes = clustering.hash_values(x, a, self.offset[level], w)
        ct, k = clustering.clusters(codes, valid)
        c = clustering.means(x, ct, int(k.max()), valid)
        learning = a.requires_grad and torch.is_grad_enabled()
        return _Level(ct, k, c, pull(x, c, k, a, w, valid) if learning else None)

    def _attend(self, q, k, v, valid):
        """Softmax attention of all heads: (B, m, dim), (B, n, dim) twice -> (B, m, dim)."""
        q, k, v = (y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in (q, k, v))
        mask = None if valid is None else valid[:, None, None, :]
        o = F.scaled_dot_product_attention(q, k, v, attn_mask=mask,
                                           dropout_p=self.dropout if self.training else 0.0)
        return o.transpose(1, 2).flatten(2)


@dataclass(frozen=True)
class _Level:
    """Clusters ``ct`` (B, n), ``k`` (B,); centroids ``c`` (B, k_max, dim); ``pull`` or None."""

    ct: Tensor
    k: Tensor
    c: Tensor
    pull: Tensor | None

    def read(self, v: Tensor) -> Tensor:
        """What each token finds at its cluster, (B, k_max, dim) -> (B, n, dim)."""
        y = clustering.spread(v, self.ct)
        return y if self.pull is None else y + self.pull.to(v.dtype) @ v.detach()


def _lengths(x: Tensor, valid: Tensor | None) -> Tensor:
    if valid is None:
        return torch.full((len(x),), x.shape[1], device=x.device)
    return valid.sum(dim=1)
