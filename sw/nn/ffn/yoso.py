"""YOSO as a feed-forward network: neurons fire with the probability of a hash collision."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.errors import ConfigError
from sw.nn.bh4 import hadamard
from sw.nn.ffn.options import boolean, generator, integer, token_width

__all__ = ["YosoFFN", "collision_probability", "hd3_codes", "cumulate"]

SHRINK = 0.98
"""Cosines are shrunk before the arc cosine, whose slope is infinite at 1. The authors' constant in
expectation; their gradient of the sampled form has 0.99."""


def collision_probability(x: Tensor, w: Tensor, tau: int) -> Tensor:
    """(1 - arccos(0.98 <x_t, w_i>) / pi)**tau for unit vectors: (n, d), (m, d) -> (n, m)."""
    cosine = (SHRINK * (x @ w.T)).clamp(-1, 1)
    return (1 - cosine.acos() / math.pi) ** tau


def hd3_codes(x: Tensor, signs: Tensor, tau: int, h: int) -> Tensor:
    """Codes (n, h), int64, of vectors (n, d): the signs of H D3 H D2 H D1 x, tau bits each.

    ``signs`` (3, copies, width), width a power of two, holds the diagonals D1, D2, D3 of each
    copy; x is padded with zeros to that width. A hash takes its bits from one copy, which
    has room for width // tau hashes; bits left over are not used. Bit 0 is the least significant;
    zero gives 0. Without gradient.
    """
    width = signs.shape[-1]
    y = F.pad(x.detach(), (0, width - x.shape[-1]))[:, None, :]
    for diagonal in signs.to(x.dtype):
        y = hadamard(y * diagonal)
    room = width // tau
    bits = (y[..., :room * tau] > 0).reshape(len(x), -1, tau)[:, :h].long()
    return (bits << torch.arange(tau, device=bits.device)).sum(-1)


def cumulate(codes: Tensor, neurons: Tensor, values: Tensor, tau: int) -> Tensor:
    """y_t = 1/h sum_k sum_i [codes_tk = neurons_ik] values_i: (n, d), differentiable in values.

    By tables, as an engine would: each of the h tables (2**tau rows) holds the sums of the values
    of its buckets; a token reads one row of each.
    """
    m, h = neurons.shape
    rows = torch.arange(h, device=codes.device) << tau
    bucket, place = (neurons + rows).flatten().sort()
    size = torch.bincount(bucket, minlength=h << tau)
    tables = F.embedding_bag(place // h, values, size.cumsum(0) - size, mode="sum")
    return F.embedding_bag(codes + rows, tables, mode="sum") / h


class YosoFFN(nn.Module):
    """y = unit(sum_i B_i(x) V_i) + c; B_i is 1 where the hashes of x and W_i collide.

    Zeng et al. 2021 carried over to the feed-forward network (LookupFFN paper, Sec. 2, eq. 3).
    B is averaged over ``h`` hashes of ``tau`` bits, its expectation is
    (1 - angle(x, W_i) / pi)**tau. The hash is the sign of three rounds of random signs and Hadamard
    transform (HD3). In training the signs are drawn afresh in every forward, from torch's global
    generator.

    As in the authors' code: x and W at unit length, no bit of a hash shared between copies (512
    hashes of 5 bits take 6 copies at d = 512), output at unit length plus bias. The gradient to V
    goes through the sampled collisions; that to x and W is the derivative of the collision
    probability, with the cosine shrunk by 0.98.

    Decisions of ours:

    - The derivative is taken for all pairs. Theirs leaves out pairs that did not collide in any
      hash, to save time, and interpolates between 32 values.
    - In evaluation the signs are fixed: the tables can be built once, which is what ``flop``
      assumes, and the same input gives the same output. Theirs draws there too.
    - No collision at all, or values that cancel, leave the zero vector, which has no direction:
      y = c.
    - h = 512 and tau = 5 are what fits the paper's 0.35 MFLOP; its configuration is unpublished.

    Parameters
    ----------
    d : token dimension.
    d_ff : neurons; None stands for 4 d.
    h : hashes, 1 or more.
    tau : bits of a hash, 1..16 and at most n = 2**ceil(log2 d).
    expected : the collision probability itself instead of sampled hashes (YOSO-E), as dense as
        the vanilla network; ``h`` then is of no effect.
    seed : of the initial values and of the signs of evaluation; None takes torch's generator.

    Members: ``up`` W (d_ff, d), ``down`` V (d_ff, d), ``out_bias`` c (d,); ``signs``
    (3, copies, n), a buffer.
    """

    def __init__(self, d: int, d_ff: int | None = None, *, h: int = 512, tau: int = 5,
                 expected: bool = False, seed: int | None = None):
        super().__init__()
        self.d = integer("d", d)
        self.d_ff = 4 * d if d_ff is None else integer("d_ff", d_ff)
        self.h = integer("h", h)
        self.tau = integer("tau", tau, 1, 16)
        self.expected = boolean("expected", expected)
        self.width = 1 << (d - 1).bit_length()
        if self.tau > self.width:
            raise ConfigError(f"tau is {tau}, must be at most {self.width}, d rounded up to a "
                              f"power of two")
        self.copies = -(-h // (self.width // tau))
        source = generator(seed)
        # Only directions count; 0.02 is the authors'.
        self.up = nn.Parameter(torch.randn(self.d_ff, d, generator=source) * 0.02)
        self.down = nn.Parameter(torch.randn(self.d_ff, d, generator=source) * 0.02)
        self.out_bias = nn.Parameter(torch.zeros(d))
        self.register_buffer("signs", self._draw(source, None))

    def _draw(self, source: torch.Generator | None, device) -> Tensor:
        shape = 3, self.copies, self.width
        return torch.randint(0, 2, shape, generator=source, device=device) * 2.0 - 1.0

    @property
    def flop(self) -> int:
        """Per token: additions of 3 Hadamard transforms a copy, n log2 n each, and of h rows.

        As for LookupFFN, sign flips and normalisation are not counted, and the tables are there.
        ``expected``: 4 d d_ff.
        """
        if self.expected:
            return 4 * self.d * self.d_ff
        butterflies = self.width * (self.width.bit_length() - 1)
        return 3 * self.copies * butterflies + self.h * self.d

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d), computed at 32 bits at least; the dtype of x comes back."""
        tokens = token_width(x, self.d)
        dtype = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            q = F.normalize(tokens.to(dtype), dim=-1)
            w = F.normalize(self.up.to(dtype), dim=-1)
            v = self.down.to(dtype)
            y = self._expected(q, w, v) if self.expected else self._sampled(q, w, v)
            y = F.normalize(y, dim=-1) + self.out_bias.to(dtype)
        return y.to(x.dtype).reshape(x.shape)

    def _expected(self, q: Tensor, w: Tensor, v: Tensor) -> Tensor:
        return collision_probability(q, w, self.tau) @ v

    def _sampled(self, q: Tensor, w: Tensor, v: Tensor) -> Tensor:
        signs = self._draw(None, q.device) if self.training else self.signs
        codes, neurons = (hd3_codes(t, signs, self.tau, self.h) for t in (q, w))
        y = cumulate(codes, neurons, v, self.tau)
        if torch.is_grad_enabled() and (q.requires_grad or w.requires_grad):
            # Value zero, gradient to q and w that of the expectation.
            soft = self._expected(q, w, v.detach())
            y = y + (soft - soft.detach())
        return y

    def extra_repr(self) -> str:
        return (f"d={self.d}, d_ff={self.d_ff}, h={self.h}, tau={self.tau}, "
                f"expected={self.expected}")
