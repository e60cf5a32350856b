"""Token clustering of CTA in torch: hash, cluster numbers, centroids (Sec. III-A, eq. 1 and 2).

Everything works on a batch of sequences at once, on any device, without a loop over tokens,
clusters or sequences, and gives the same result every time: the sums of the centroids are made
by an indexed assignment that sorts on CUDA instead of adding in whatever order threads arrive.

Padding is told by ``valid`` (B, n), bool, True for a real token; None stands for all real.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from model.cta.config import CTAFormats

__all__ = ["HASH", "MAX_L", "hash_values", "positions", "clusters", "means", "spread",
           "check_valid"]

HASH = CTAFormats().hash
"""Format of a hash value. The engine saturates there, so the float layer does."""

MAX_L = 8
"""Most hash functions of one LSH: that many values of HASH make one 64-bit key."""


def hash_values(x: Tensor, a: Tensor, offset: Tensor, w: Tensor | float) -> Tensor:
    """Hash codes (B, n, l), int64: floor(x a^T / w + offset), saturated to the hash format.

    ``x`` (B, n, D); ``a`` (l, D); ``offset`` (l,) in buckets, so that the paper's b is offset*w;
    ``w`` the bucket width. Eq. 1, whose bars are a floor that lost its feet. No gradient.
    """
    with torch.no_grad():
        return torch.floor(positions(x, a, offset, w)).clamp(HASH.min, HASH.max).to(torch.int64)


def positions(x: Tensor, a: Tensor, offset: Tensor | float, w: Tensor | float) -> Tensor:
    """x a^T / w + offset, (B, n, l): where tokens lie, in buckets. At least float32.

    Autocast stays out: with 8 bits of mantissa a token would hash to a neighbouring bucket.
    """
    kind = torch.promote_types(x.dtype, torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        return x.to(kind) @ a.to(kind).T / w + offset


def clusters(codes: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Clusters of equal codes: ``ct`` (B, n) int64, numbers in order of first sight; ``k`` (B,).

    ``codes`` (B, n, l), integers of the hash format, l <= 8. Padding takes no number: its entries
    of ``ct`` hold k, one beyond the last cluster of its sequence.
    Raises ValueError for a sequence without a valid token.
    """
    batch, n, l = codes.shape  # noqa: E741 - the paper's name
    if not 1 <= l <= MAX_L:
        raise ValueError(f"l is {l}, must be in 1..{MAX_L}")
    check_valid(valid, batch, n)
    digit = codes.to(torch.int64) - HASH.min
    shift = HASH.width * torch.arange(l, device=codes.device)
    key = (digit << shift).sum(-1)        # disjoint bits; the last one may be the sign, no matter
    # Equal keys to one number per run of the sorted sequence, in the order of the keys.
    ordered, order = key.sort(dim=1, stable=True)
    starts = F.pad((ordered[:, 1:] != ordered[:, :-1]).to(torch.int64), (1, 0))
    run = torch.empty_like(key).scatter_(1, order, starts.cumsum(1))
    # Then the first valid token of each run: those open the clusters, in this order.
    valid = torch.ones_like(key, dtype=torch.bool) if valid is None else valid
    at = torch.arange(n, device=codes.device).expand(batch, n)
    first = torch.full_like(key, n).scatter_reduce_(1, run, at.masked_fill(~valid, n), "amin")
    first = first.gather(1, run)
    opened = (first == at).to(torch.int64).cumsum(1)
    k = opened[:, -1]
    number = opened.gather(1, first.clamp(max=n - 1)) - 1
    return torch.where(valid, number, k[:, None]), k


def means(x: Tensor, ct: Tensor, k_max: int, valid: Tensor | None = None,
          weight: Tensor | None = None) -> Tensor:
    """Centroids (B, k_max, D): means of the tokens of the clusters (eq. 2), zeros beyond them.

    ``x`` (B, n, D), ``ct`` (B, n) as :func:`clusters` gives it. ``weight`` (B, n), positive, makes
    it a weighted mean. Differentiable in ``x`` and ``weight``. Sums are at least float32.
    """
    batch, _, width = x.shape
    kind = torch.promote_types(x.dtype, torch.float32)
    if valid is not None:
        ct = ct.masked_fill(~valid, k_max)
    index = (_flat(ct, k_max + 1).reshape(-1),)    # slot k_max takes the padding and is cut off

    def sums(y):
        y = y.to(kind).flatten(0, 1)
        zeros = y.new_zeros(batch * (k_max + 1), *y.shape[1:])
        return zeros.index_put(index, y, accumulate=True).unflatten(0, (batch, -1))[:, :k_max]

    share = torch.ones_like(ct) if weight is None else weight
    total = sums(share)[..., None]
    mean = sums(x if weight is None else x * weight[..., None]) / total.masked_fill(total == 0, 1)
    return mean.to(x.dtype)


def spread(c: Tensor, ct: Tensor) -> Tensor:
    """Rows of ``c`` (B, k_max, D) by token: (B, n, D). Padding gets some row that means nothing."""
    batch, k_max, width = c.shape
    index = _flat(ct.clamp(max=k_max - 1), k_max)
    # An embedding has a gradient that is made in a fixed order on CUDA as well.
    return F.embedding(index, c.reshape(batch * k_max, width))


def check_valid(valid: Tensor | None, batch: int, n: int) -> None:
    """Raise ValueError unless ``valid`` is None or bool (batch, n) with a True in every row."""
    if batch < 1 or n < 1:
        raise ValueError(f"{batch} sequences of {n} tokens, must be at least 1 of each")
    if valid is None:
        return
    if valid.dtype != torch.bool or tuple(valid.shape) != (batch, n):
        raise ValueError(f"valid is {valid.dtype} {tuple(valid.shape)}, must be torch.bool "
                         f"({batch}, {n}): True for a real token")
    if not bool(valid.any(dim=1).all()):
        row = int((~valid.any(dim=1)).nonzero()[0, 0])
        raise ValueError(f"sequence {row} has no valid token, must have at least 1")


def _flat(ct: Tensor, size: int) -> Tensor:
    """Cluster numbers of a batch as rows of one table with ``size`` rows a sequence."""
    return ct + size * torch.arange(len(ct), device=ct.device)[:, None]
