"""Channel shuffle: grouped linears, and a transposition that mixes the groups."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.errors import ConfigError
from sw.nn.ffn.options import generator, integer, token_width, uniform_

__all__ = ["ShuffleFFN"]


class ShuffleFFN(nn.Module):
    """y = B2 gelu(S B1 x + b) + c; B1, B2 block-diagonal, S the channel shuffle.

    The grouped convolution and channel shuffle of ShuffleNet (Zhang et al. 2018) as a baseline of
    the LookupFFN paper. Table 1's 2.10 MFLOP are 2 groups at d = 512, d_ff = 2048. The shuffle
    writes the activations (groups, d_ff / groups) down as (d_ff / groups, groups), so that each
    group of B2 sees neurons of every group of B1.

    As in the authors' code: the bias follows the shuffle, there is no second shuffle after B2.
    Their block has no LayerNorm before this layer, which is the block's matter. Initial values are
    ours: those of ``nn.Linear`` for the width of a group, biases zero.

    Parameters
    ----------
    d : token dimension.
    d_ff : neurons; None stands for 4 d.
    groups : a divisor of d and of d_ff.
    seed : of the initial values; None takes torch's global generator.

    Members: ``up`` (groups, d_ff / groups, d / groups), ``up_bias`` (d_ff,) in the shuffled order,
    ``down`` (groups, d / groups, d_ff / groups), ``out_bias`` (d,).
    """

    def __init__(self, d: int, d_ff: int | None = None, *, groups: int = 2,
                 seed: int | None = None):
        super().__init__()
        self.d = integer("d", d)
        self.d_ff = 4 * d if d_ff is None else integer("d_ff", d_ff)
        self.groups = integer("groups", groups)
        for name, size in (("d", self.d), ("d_ff", self.d_ff)):
            if size % groups:
                raise ConfigError(f"groups is {groups}, must divide {name} = {size}")
        source = generator(seed)
        inner, outer = self.d_ff // groups, d // groups
        self.up = nn.Parameter(uniform_(torch.empty(groups, inner, outer), outer, source))
        self.up_bias = nn.Parameter(torch.zeros(self.d_ff))
        self.down = nn.Parameter(uniform_(torch.empty(groups, outer, inner), inner, source))
        self.out_bias = nn.Parameter(torch.zeros(d))

    @property
    def flop(self) -> int:
        """Per token: 4 d d_ff / groups. The shuffle moves data only."""
        return 4 * self.d * self.d_ff // self.groups

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        tokens = token_width(x, self.d).unflatten(-1, (self.groups, -1))
        a = torch.einsum("tgi,goi->tog", tokens, self.up).flatten(1)
        a = F.gelu(a + self.up_bias).unflatten(-1, (self.groups, -1))
        y = torch.einsum("tgi,goi->tgo", a, self.down).flatten(1)
        return (y + self.out_bias).reshape(x.shape)

    def extra_repr(self) -> str:
        return f"d={self.d}, d_ff={self.d_ff}, groups={self.groups}"
