"""MONGOOSE: SLIDE with hash directions that learn which neurons a token needs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sw.nn.ffn.options import real
from sw.nn.ffn.slide import SlideFFN

__all__ = ["MongooseFFN"]

MISSED = 0.001
"""Fraction of a token's products, the largest, that should be retrieved."""

SPARED = 0.5
"""Fraction of the products, from the smallest on, that should not."""


class MongooseFFN(SlideFFN):
    """:class:`SlideFFN` with a learned projection and the triplet loss that trains it.

    Chen et al. 2021 in the form of the LookupFFN paper's baseline. The output gives the projection
    no gradient, only ``aux_loss`` does. In each pass, with u = <W_i, x> + b_i:

    - positives are pairs of token and neuron that were not retrieved although u > max(0, t1), t1
      the mean over tokens of the floor(0.999 d_ff)-th smallest u;
    - negatives are pairs that were retrieved although u < t2, the same of floor(0.5 d_ff);
    - the larger set is reduced to the size of the smaller by chance (torch's global generator),
      and pairs of pairs pay max(0, cos(negative) - cos(positive) + margin), on average; cos is
      that of the projected token and neuron.

    Tokens and weights take no gradient from it. A pass with no such pairs pays zero.

    As in the authors' code: the above, +1 or -1 as initial projection, a rehash in every forward
    (their paper's scheduler is not used), 2048 tokens a pass.

    Decisions of ours:

    - The loss is only computed in training, theirs also where none looks at it.
    - u includes the bias, as the hashed vectors do; theirs leaves it out.
    - A pass without a hit gives the output bias. Theirs computes all products to pick one neuron.
    - ``bits`` = 12, ``tables`` = 3 let 2048 independent tokens find 78% of the neurons, as much as
      the paper's 3.21 MFLOP say; ``auxiliary`` = 1, as only the projection sees the loss. All
      three are unpublished.

    Parameters
    ----------
    d, d_ff, bits, tables, per_pass, seed : as in :class:`SlideFFN`.
    margin : of the triplet loss, 0 or more.
    auxiliary : coefficient of the triplet loss in ``aux_loss``; 0 switches it off.

    Members as in :class:`SlideFFN`; ``projection`` is a Parameter. ``aux_loss`` after a forward in
    training, else None.
    """

    def __init__(self, d: int, d_ff: int | None = None, *, bits: int = 12, tables: int = 3,
                 per_pass: int = 2048, margin: float = 1.0, auxiliary: float = 1.0,
                 seed: int | None = None):
        super().__init__(d, d_ff, bits=bits, tables=tables, per_pass=per_pass, seed=seed)
        self.margin = real("margin", margin, 0)
        self.auxiliary = real("auxiliary", auxiliary, 0)

    def _keep_projection(self, signs: Tensor):
        self.projection = nn.Parameter(signs)

    @property
    def _flop_hash(self) -> int:
        return 2 * super()._flop_hash        # a learned factor is a multiplication

    def _auxiliary(self, x: Tensor, codes: Tensor, neurons: Tensor) -> Tensor | None:
        if not self.training or not self.auxiliary:
            return None
        # The whole of it follows the dtype of the projection, whatever the tokens come in.
        dtype = self.projection.dtype
        keys = torch.cat([self.up, self.up_bias[:, None]], 1).detach().to(dtype)
        queries = torch.cat([x.detach().to(dtype), x.new_ones(len(x), 1).to(dtype)], 1)
        losses = [self._triplets(q, keys, c, neurons)
                  for q, c in zip(queries.split(self.per_pass), codes.split(self.per_pass))]
        return self.auxiliary * torch.stack(losses).mean()

    def _triplets(self, queries: Tensor, keys: Tensor, codes: Tensor, neurons: Tensor) -> Tensor:
        product = queries @ keys.T
        large, small = (product.kthvalue(max(1, int(self.d_ff * (1 - part))))[0].mean()
                        for part in (MISSED, SPARED))
        retrieved = torch.zeros_like(product, dtype=torch.bool)
        for token, neuron in zip(codes.unbind(1), neurons.unbind(1)):    # over few tables
            retrieved |= token[:, None] == neuron
        positive = ((product > large.clamp(min=0)) & ~retrieved).nonzero()
        negative = ((product < small) & retrieved).nonzero()
        count = min(len(positive), len(negative))
        projected, weights = queries @ self.projection, keys @ self.projection

        def similarity(pairs):
            if len(pairs) > count:
                pairs = pairs[torch.randperm(len(pairs), device=pairs.device)[:count]]
            token, neuron = pairs.unbind(1)
            return F.cosine_similarity(projected[token], weights[neuron], dim=-1, eps=1e-6)

        triplet = F.relu(similarity(negative) - similarity(positive) + self.margin)
        return triplet.sum() / max(1, count)
