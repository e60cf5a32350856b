"""Switch: a mixture of small feed-forward networks of which each token visits one."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sw.nn.ffn.auxiliary import AuxiliaryLoss
from sw.nn.ffn.options import generator, integer, real, token_width, uniform_

__all__ = ["SwitchFFN"]


class SwitchFFN(AuxiliaryLoss):
    """y = p_e V_e relu(W_e x), e = argmax p, p = softmax(R x) over the experts.

    Fedus et al. 2022, the baseline "Switch Transformer" of the LookupFFN paper (Table 1: 8 experts
    of 2 d neurons give its 2.11 MFLOP).

    As in the authors' code: one expert a token, its output scaled by the router's probability,
    experts without bias and with a ReLU, a router without bias, in 32 bits at least.

    Decisions of ours:

    - Their layer adds its input and the block adds it once more (2 x + f); here is no residual.
    - A token beyond the capacity of its expert gives y = 0, as published: the block's residual
      carries it on. Their code gives it p x, for a factor p that no expert has earned.
    - Capacity counts over all tokens of a forward, as published; theirs over one sequence, with a
      bound that none reaches. Earlier tokens come first.
    - Balance loss and jitter are off unless asked for; their code has no balance loss and a
      jitter of 0.01.
    - No dropout inside the experts.

    Parameters
    ----------
    d : token dimension.
    d_ff : neurons of an expert; None stands for 2 d.
    experts : 1 or more.
    capacity : 0.01 or more; an expert takes ceil(capacity * tokens / experts). None: no bound.
    balance : coefficient alpha of the load-balance loss alpha E sum_e f_e P_e (f: fraction of
        tokens sent to e, before the capacity; P: mean probability of e), published 0.01.
    jitter : in training the router sees x * U(1 - jitter, 1 + jitter); in [0, 1].
    seed : of the initial values; None takes torch's global generator.

    Members: ``router`` (experts, d), ``up`` (experts, d_ff, d), ``down`` (experts, d, d_ff);
    ``load``, tokens sent to each expert in the last forward, and ``dropped``, how many of all
    were beyond a capacity. ``aux_loss``: the balance loss of the last forward in training if
    ``balance`` > 0, else None.
    """

    def __init__(self, d: int, d_ff: int | None = None, *, experts: int = 8,
                 capacity: float | None = None, balance: float = 0.0, jitter: float = 0.0,
                 seed: int | None = None):
        super().__init__()
        self.d = integer("d", d)
        self.d_ff = 2 * d if d_ff is None else integer("d_ff", d_ff)
        self.experts = integer("experts", experts)
        self.capacity = None if capacity is None else real("capacity", capacity, 0.01)
        self.balance = real("balance", balance, 0)
        self.jitter = real("jitter", jitter, 0, 1)
        source = generator(seed)
        self.router = nn.Parameter(uniform_(torch.empty(experts, d), d, source))
        self.up = nn.Parameter(uniform_(torch.empty(experts, self.d_ff, d), d, source))
        self.down = nn.Parameter(uniform_(torch.empty(experts, d, self.d_ff), self.d_ff, source))
        self.load: Tensor | None = None
        self.dropped = 0

    @property
    def flop(self) -> int:
        """Per token: 2 d experts for the router, 4 d d_ff for one expert."""
        return 2 * self.d * self.experts + 4 * self.d * self.d_ff

    def _route(self, x: Tensor) -> Tensor:
        """Probabilities (tokens, experts), at 32 bits at least."""
        if self.training and self.jitter:
            x = x * torch.empty_like(x).uniform_(1 - self.jitter, 1 + self.jitter)
        dtype = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x.to(dtype), self.router.to(dtype)).softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        tokens = token_width(x, self.d)
        n = len(tokens)
        p = self._route(tokens)
        chosen, expert = p.max(-1)
        self.load = torch.bincount(expert, minlength=self.experts)
        self.aux_loss = None
        if self.training and self.balance:
            share = self.load.to(p.dtype) / n
            self.aux_loss = self.balance * self.experts * (share * p.mean(0)).sum()

        # Tokens in the order of their experts, a stable one: earlier tokens come first.
        order = expert.argsort(stable=True)
        load = self.load.tolist()
        bound = n if self.capacity is None else math.ceil(self.capacity * n / self.experts)
        kept = [part[:bound] for part in order.split(load)]
        self.dropped = n - sum(len(part) for part in kept)
        # An expert without tokens multiplies an empty matrix: its gradient is zero, not None.
        parts = [F.linear(F.relu(F.linear(tokens[part], up)), down)
                 for part, up, down in zip(kept, self.up, self.down)]
        y = torch.cat(parts)
        y = y.new_zeros(n, self.d).index_copy(0, torch.cat(kept), y)
        return (y * chosen.to(y.dtype)[:, None]).reshape(x.shape)

    def extra_repr(self) -> str:
        return (f"d={self.d}, d_ff={self.d_ff}, experts={self.experts}, "
                f"capacity={self.capacity}, balance={self.balance:g}")
