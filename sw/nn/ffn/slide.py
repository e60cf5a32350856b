"""SLIDE: only those neurons are computed whose weights share a hash bucket with a token."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sw.nn.ffn.auxiliary import AuxiliaryLoss
from sw.nn.ffn.options import generator, integer, token_width, uniform_

__all__ = ["SlideFFN", "sim_hash", "retrieve"]


def sim_hash(vectors: Tensor, projection: Tensor, tables: int) -> Tensor:
    """Codes (..., tables), int64: bit k of table l is <vector, projection[:, l*K + k]> > 0.

    ``vectors`` (..., d + 1), ``projection`` (d + 1, tables * K). Bit 0 is the least significant.
    A product of zero gives 0. Without gradient.
    """
    bits = (vectors.detach() @ projection.detach().to(vectors.dtype) > 0)
    bits = bits.unflatten(-1, (tables, -1)).long()
    return (bits << torch.arange(bits.shape[-1], device=bits.device)).sum(-1)


def retrieve(tokens: Tensor, neurons: Tensor, bits: int, per_pass: int) -> Tensor:
    """Active neurons (passes, d_ff), bool: those in a bucket that a token of the pass falls into.

    ``tokens`` (n, tables) and ``neurons`` (d_ff, tables) are codes of ``bits`` bits; a pass is
    ``per_pass`` consecutive tokens, the last may be shorter.
    """
    n, tables = tokens.shape
    device = tokens.device
    table = torch.arange(tables, device=device)
    of_pass = torch.arange(n, device=device) // per_pass
    hit = torch.zeros(-(-n // per_pass), tables, 1 << bits, dtype=torch.bool, device=device)
    hit[of_pass[:, None], table, tokens] = True
    return hit[:, table, neurons].any(-1)


class SlideFFN(AuxiliaryLoss):
    """y = sum over i in S of V_i gelu(<W_i, x> + b_i), plus c; S is what the hash retrieves.

    Chen et al. 2020 as the LookupFFN paper compares with it (Sec. 2, eq. 2; Sec. 4.1). Tokens
    [x; 1] and neurons [W_i; b_i] are hashed by the signs of ``bits`` projections in each of
    ``tables`` tables; S is the union of what ``per_pass`` consecutive tokens find, so that the
    output of a token depends on its neighbours in the batch. Neurons outside S are not computed
    and get a gradient of zero. All tokens of one pass without a hit: y = c.

    As in the authors' code: entries of the projection are +1 or -1 and fixed, all neurons are
    hashed anew in every forward, GELU, 128 tokens a pass.

    Decisions of ours:

    - Their lookup fails on a pass without a hit; here it gives c, the sum over no neuron.
    - Their dropout, once inside and once in the block, is left to the block.
    - The projection comes from ``seed``; theirs is the same, of seed 8191, in every layer.
    - ``bits`` and ``tables`` are unpublished. 10 and 3 let 128 independent tokens find 31% of the
      neurons, which gives the paper's 1.32 MFLOP at d = 512, d_ff = 2048.
    - Initial values are those of ``nn.Linear``, biases zero.

    Parameters
    ----------
    d : token dimension.
    d_ff : neurons; None stands for 4 d.
    bits : of a code, 1..16.
    tables : hash tables, 1 or more.
    per_pass : tokens of a pass, 1 or more.
    seed : of the initial values; None takes torch's global generator.

    Members: ``up`` (d_ff, d), ``up_bias`` (d_ff,), ``down`` (d_ff, d), ``out_bias`` (d,);
    ``projection`` (d + 1, tables * bits), a buffer; ``active``, the mean size of S over the tokens
    of the last forward, None before it.
    """

    def __init__(self, d: int, d_ff: int | None = None, *, bits: int = 10, tables: int = 3,
                 per_pass: int = 128, seed: int | None = None):
        super().__init__()
        self.d = integer("d", d)
        self.d_ff = 4 * d if d_ff is None else integer("d_ff", d_ff)
        self.bits = integer("bits", bits, 1, 16)
        self.tables = integer("tables", tables)
        self.per_pass = integer("per_pass", per_pass)
        source = generator(seed)
        self.up = nn.Parameter(uniform_(torch.empty(self.d_ff, d), d, source))
        self.up_bias = nn.Parameter(torch.zeros(self.d_ff))
        self.down = nn.Parameter(uniform_(torch.empty(self.d_ff, d), self.d_ff, source))
        self.out_bias = nn.Parameter(torch.zeros(d))
        signs = torch.randint(0, 2, (d + 1, tables * bits), generator=source) * 2.0 - 1.0
        self._keep_projection(signs)
        self.active: float | None = None

    def _keep_projection(self, signs: Tensor):
        self.register_buffer("projection", signs)

    @property
    def _flop_hash(self) -> int:
        """Additions only: a factor of +1 or -1 is no multiplication."""
        return (self.d + 1) * self.tables * self.bits

    @property
    def flop(self) -> int:
        """Per token, in the last forward: 4 d mean |S| and the hash of the token.

        Hashing the neurons is not counted: weights that stand still need it once. Before the first
        forward S is taken for all neurons, the upper bound.
        """
        active = self.d_ff if self.active is None else self.active
        return round(4 * self.d * active) + self._flop_hash

    def _auxiliary(self, x: Tensor, codes: Tensor, neurons: Tensor) -> Tensor | None:
        """Loss that trains the hash; none here."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        tokens = token_width(x, self.d)
        with torch.autocast(x.device.type, enabled=False):
            ones = tokens.new_ones(len(tokens), 1)
            codes = sim_hash(torch.cat([tokens, ones], 1), self.projection, self.tables)
            keyed = torch.cat([self.up, self.up_bias[:, None]], 1)
            neurons = sim_hash(keyed, self.projection, self.tables)
            self.aux_loss = self._auxiliary(tokens, codes, neurons)
        found = retrieve(codes, neurons, self.bits, self.per_pass)
        sizes = found.sum(1).tolist()
        sets = found.nonzero(as_tuple=True)[1].split(sizes)
        passes = tokens.split(self.per_pass)
        self.active = sum(len(t) * size for t, size in zip(passes, sizes)) / len(tokens)
        y = [F.gelu(F.linear(t, self.up[s], self.up_bias[s])) @ self.down[s]
             for t, s in zip(passes, sets)]
        return (torch.cat(y) + self.out_bias).reshape(x.shape)

    def extra_repr(self) -> str:
        return (f"d={self.d}, d_ff={self.d_ff}, bits={self.bits}, tables={self.tables}, "
                f"per_pass={self.per_pass}")
