"""The feed-forward network of the Transformer: two linears and a GELU."""

import torch.nn.functional as F
from torch import Tensor, nn

from sw.nn.ffn.options import generator, integer, linear, token_width

__all__ = ["VanillaFFN"]


class VanillaFFN(nn.Module):
    """y = V gelu(W x + b) + c, the exact GELU.

    The baseline of the LookupFFN paper (Sec. 2, eq. 1, with the GELU of RoBERTa). Weights start
    as those of ``nn.Linear`` and not at the fixed 0.02 of RoBERTa, which fits its width only;
    biases start at zero.

    Parameters
    ----------
    d : token dimension.
    d_ff : neurons; None stands for 4 d.
    seed : of the initial values; None takes torch's global generator.

    Members: ``up`` and ``down``, both ``nn.Linear``. Raises ConfigError for an illegal parameter,
    ValueError for tokens of another width.
    """

    def __init__(self, d: int, d_ff: int | None = None, *, seed: int | None = None):
        super().__init__()
        self.d = integer("d", d)
        self.d_ff = 4 * d if d_ff is None else integer("d_ff", d_ff)
        source = generator(seed)
        self.up = linear(d, self.d_ff, source)
        self.down = linear(self.d_ff, d, source)

    @property
    def flop(self) -> int:
        """Multiplications and additions per token: 4 d d_ff. Biases and GELU are not counted."""
        return 4 * self.d * self.d_ff

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        token_width(x, self.d)
        return self.down(F.gelu(self.up(x)))

    def extra_repr(self) -> str:
        return f"d={self.d}, d_ff={self.d_ff}"
