"""Hadamard transforms, and products of block-diagonal matrices and Hadamard transforms (BHk).

LookupFFN's projection (Sec. 3.2, eq. 11) is BH4 = H B_4 H B_3 H B_2 H B_1. As in the authors' code
H is Sylvester's matrix in natural order, un-normalised, and follows every product, the last one
included.
"""

from functools import lru_cache

import torch

from model.errors import ConfigError

__all__ = ["hadamard_matrix", "hadamard", "bhk", "bhk_matrix"]

GEMM = 64       # order up to which a matrix product beats log2(n) passes of additions


def hadamard_matrix(n: int, like: torch.Tensor | None = None) -> torch.Tensor:
    """Sylvester's Hadamard matrix (n, n) of entries +1 and -1; dtype and device of ``like``.

    Not to be written to: it is made once. Raises ConfigError unless ``n`` is a power of two.
    """
    if n < 1 or n & (n - 1):
        raise ConfigError(f"n is {n}, must be a power of two")
    like = torch.empty(0) if like is None else like
    return _matrix(n, like.dtype, like.device)


@lru_cache(maxsize=64)
def _matrix(n, dtype, device):
    # One made in inference mode could not be used in training later.
    with torch.inference_mode(False):
        matrix = torch.ones(1, 1, dtype=dtype, device=device)
        while len(matrix) < n:
            matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return matrix


def _across(y: torch.Tensor, dim: int) -> torch.Tensor:
    """Transform along a dimension before the last, by butterflies."""
    half = 1
    while half < y.shape[dim]:
        a, b = y.unflatten(dim, (-1, 2, half)).unbind(dim + 1)
        y = torch.stack([a + b, a - b], dim + 1).flatten(dim, dim + 2)
        half *= 2
    return y


def hadamard(x: torch.Tensor) -> torch.Tensor:
    """H x along the last dimension (..., n), un-normalised; differentiable.

    H of order n is the Kronecker product of two smaller ones: the inner is a matrix product, the
    outer runs as butterflies. Raises ConfigError unless n is a power of two.
    """
    n = x.shape[-1]
    if n < 1 or n & (n - 1):
        raise ConfigError(f"the last dimension is {n}, must be a power of two")
    inner = min(n, GEMM)
    y = x.reshape(-1, n // inner, inner) @ hadamard_matrix(inner, x)
    return _across(y, 1).reshape(x.shape)


def bhk(x: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
    """k stages of block-diagonal product and Hadamard transform, for r independent copies.

    ``x`` (t, n); ``blocks`` (r, k, n/bs, bs out, bs in); returns (r, t, n). Four stages are BH4.

    The tokens stay block by block (r, n/bs, t, bs) from the first stage to the last, so that
    nothing is transposed between stages: of H = H_(n/bs) (x) H_bs the inner factor is folded into
    the blocks, the outer one adds and subtracts whole blocks.
    """
    copies, _, count, size, _ = blocks.shape
    inner = hadamard_matrix(size, blocks)
    y = x.unflatten(-1, (count, size)).transpose(0, 1).expand(copies, -1, -1, -1)
    for stage in blocks.unbind(1):
        y = _across(y @ (inner @ stage).transpose(-1, -2), 1)
    return y.transpose(1, 2).flatten(2)


def bhk_matrix(blocks: torch.Tensor) -> torch.Tensor:
    """The matrix (r, n, n) that :func:`bhk` multiplies tokens with: y = matrix x."""
    n = blocks.shape[2] * blocks.shape[3]
    eye = torch.eye(n, dtype=blocks.dtype, device=blocks.device)
    return bhk(eye, blocks).transpose(1, 2)
