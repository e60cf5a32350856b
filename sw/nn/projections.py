"""The projections of Fig. 4: learned matrices that cost less than d x h tau products.

Modules (..., in_features) -> (..., out_features) without bias, with ``flop`` a token and
``parameters_count``. Those built on a transform of order n, the next power of two from
in_features, pad the token with zeros to n, put ceil(out_features / n) independent copies side by
side and cut the result, as LookupFFN does. The first axis of their parameters is the copy.

FLOP are counted as the paper counts them: a product and its addition are two, a Hadamard
transform n log2(n), a diagonal n. A cosine transform counts 2 n log2(n) - n + 2, the best known
for a power of two; a shuffle nothing.

Source: LookupFFN (ICML 2023), Sec. 3.2, eq. 10, 11 and Remark 3.2.
"""

import math
from functools import lru_cache, partial

import torch
from torch import nn
from torch.nn import functional as F

from model.errors import ConfigError
from model.fixed import clog2
from sw.nn.bh4 import bhk, hadamard

__all__ = ["PROJECTIONS", "make_projection", "Projection", "Dense", "ACDC", "BHk", "Shuffle",
           "dct", "idct"]

GEMM = 256      # order up to which a matrix product beats a cosine transform by FFT


# -- cosine transform -----------------------------------------------------------------------------

@lru_cache(maxsize=16)
def _dct_matrix(n, dtype, device):
    # One made in inference mode could not be used in training later.
    with torch.inference_mode(False):
        k = torch.arange(n, device=device, dtype=torch.float64)
        matrix = torch.cos(math.pi / n * (k + 0.5) * k[:, None]) * math.sqrt(2 / n)
        matrix[0] /= math.sqrt(2)
        return matrix.to(dtype)


def _turn(x: torch.Tensor, sign: int) -> tuple[torch.Tensor, torch.Tensor]:
    """exp(sign i pi k / 2n), and what makes the transform orthonormal."""
    n = x.shape[-1]
    k = torch.arange(n, device=x.device, dtype=x.dtype)
    scale = torch.full_like(k, math.sqrt(2 / n))
    scale[0] = math.sqrt(1 / n)
    return torch.polar(torch.ones_like(k), sign * math.pi / (2 * n) * k), scale


def dct(x: torch.Tensor) -> torch.Tensor:
    """Orthonormal DCT-II along the last dimension, of any size."""
    if x.shape[-1] <= GEMM:
        return x @ _dct_matrix(x.shape[-1], x.dtype, x.device).T
    turn, scale = _turn(x, -1)
    spectrum = torch.fft.fft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], -1))
    return (spectrum * turn).real * scale


def idct(x: torch.Tensor) -> torch.Tensor:
    """The inverse of :func:`dct`."""
    if x.shape[-1] <= GEMM:
        return x @ _dct_matrix(x.shape[-1], x.dtype, x.device)
    turn, scale = _turn(x, 1)
    x = x / scale
    mirror = F.pad(x[..., 1:].flip(-1), (1, 0))
    v = torch.fft.ifft(torch.complex(x, -mirror) * turn).real
    half = (v.shape[-1] + 1) // 2
    y = torch.empty_like(v)
    y[..., ::2], y[..., 1::2] = v[..., :half], v[..., half:].flip(-1)
    return y


# -- projections ----------------------------------------------------------------------------------

class Projection(nn.Module):
    """Base: padding to ``n``, ``copies`` side by side, and the cut; a subclass has ``transform``
    from (t, n) to (copies, t, n) and ``copy_flop``, the FLOP of a copy.

    Raises ConfigError for sizes below 1, ValueError for a token of another size.
    """

    copy_flop: int

    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if value < 1:
                raise ConfigError(f"{name} is {value}, must be at least 1")
        self.in_features, self.out_features = in_features, out_features
        self.n = 1 << clog2(in_features)
        self.copies = -(-out_features // self.n)

    @property
    def flop(self) -> int:
        """FLOP a token."""
        return self.copies * self.copy_flop

    @property
    def parameters_count(self) -> int:
        """Learned numbers."""
        return sum(p.numel() for p in self.parameters())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] != self.in_features:
            raise ValueError(f"x has {x.shape[-1]} elements a token, must be {self.in_features}")
        padded = F.pad(x.reshape(-1, self.in_features), (0, self.n - self.in_features))
        y = self.transform(padded).transpose(0, 1).flatten(1)[:, :self.out_features]
        return y.reshape(*x.shape[:-1], self.out_features)

    def matrix(self) -> torch.Tensor:
        """What tokens are multiplied with, y = matrix x: (out_features, in_features)."""
        like = next(self.parameters())
        return self(torch.eye(self.in_features, dtype=like.dtype, device=like.device)).T


class Dense(Projection):
    """y = W x, the vanilla projection: 2 in out FLOP. Neither padded nor cut."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features)
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / math.sqrt(in_features))

    @property
    def flop(self) -> int:
        return 2 * self.in_features * self.out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] != self.in_features:
            raise ValueError(f"x has {x.shape[-1]} elements a token, must be {self.in_features}")
        return F.linear(x, self.weight)


class ACDC(Projection):
    """y = x prod_i A_i C D_i C^-1 (eq. 10): ``depth`` layers of two diagonals, C the orthonormal
    cosine transform, or with ``transform_name`` "hadamard" the orthonormal Hadamard transform.

    Diagonals start as the random signs of eq. 9 times N(1, 0.1^2): each layer starts as nearly a
    rotation. Without the signs a product of many starts near the identity, and learns worse.
    """

    def __init__(self, in_features: int, out_features: int, depth: int,
                 transform_name: str = "cosine"):
        super().__init__(in_features, out_features)
        if depth < 1:
            raise ConfigError(f"depth is {depth}, must be at least 1")
        if transform_name not in ("cosine", "hadamard"):
            raise ConfigError(f"transform_name is {transform_name!r}, must be 'cosine' or "
                              "'hadamard'")
        self.transform_name = transform_name
        shape = self.copies, depth, 2, 1, self.n
        signs = torch.randint(0, 2, shape) * 2 - 1
        self.diagonals = nn.Parameter(signs * (1 + 0.1 * torch.randn(shape)))

    @property
    def copy_flop(self) -> int:
        n, levels = self.n, clog2(self.n)
        one = n * levels if self.transform_name == "hadamard" else 2 * n * levels - n + 2
        return self.diagonals.shape[1] * 2 * (n + one)

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        if self.transform_name == "hadamard":
            def forth(u):
                return hadamard(u) / math.sqrt(self.n)
            back = forth
        else:
            forth, back = dct, idct
        x = x.expand(self.copies, -1, -1)
        for layer in self.diagonals.unbind(1):
            a, d = layer.unbind(1)
            x = back(d * forth(a * x))
        return x


class BHk(Projection):
    """y = H B_k ... H B_1 x (eq. 11), H un-normalised; ``depth`` stages of blocks of ``block``.

    Blocks start at N(0, 1/(block n)), which keeps the variance over a stage.
    """

    def __init__(self, in_features: int, out_features: int, block: int, depth: int = 4):
        super().__init__(in_features, out_features)
        if depth < 1:
            raise ConfigError(f"depth is {depth}, must be at least 1")
        _check_block(block, self.n)
        shape = self.copies, depth, self.n // block, block, block
        self.blocks = nn.Parameter(torch.randn(shape) / math.sqrt(block * self.n))

    @property
    def copy_flop(self) -> int:
        depth, block = self.blocks.shape[1], self.blocks.shape[-1]
        return depth * (2 * self.n * block + self.n * clog2(self.n))

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        return bhk(x, self.blocks)


class Shuffle(Projection):
    """ShuffleNet's grouped product and channel shuffle: n / block groups, each element of a group
    sent to another part of the output. A BH1 with a permutation for H (Remark 3.2)."""

    def __init__(self, in_features: int, out_features: int, block: int):
        super().__init__(in_features, out_features)
        _check_block(block, self.n)
        shape = self.copies, self.n // block, block, block
        self.blocks = nn.Parameter(torch.randn(shape) / math.sqrt(block))

    @property
    def copy_flop(self) -> int:
        return 2 * self.n * self.blocks.shape[-1]

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        _, groups, block, _ = self.blocks.shape
        y = x.unflatten(-1, (groups, block)).transpose(0, 1) @ self.blocks.transpose(-1, -2)
        return y.permute(0, 2, 3, 1).flatten(2)                 # (r, g, t, bs) -> (r, t, bs g)


def _check_block(block: int, n: int) -> None:
    if not 1 <= block <= n or block & (block - 1):
        raise ConfigError(f"block is {block}, must be a power of two in 1..{n}")


# -- by name --------------------------------------------------------------------------------------

_MAKE = {
    "acdc": ACDC, "hadamard": partial(ACDC, transform_name="hadamard"), "shufflenet": Shuffle,
    "bh1": partial(BHk, depth=1), "bh2": partial(BHk, depth=2), "bh3": partial(BHk, depth=3),
    "bh4": partial(BHk, depth=4), "dense": lambda i, o, size: Dense(i, o),
}

PROJECTIONS = tuple(_MAKE)
"""Names that :func:`make_projection` takes."""


def make_projection(name: str, in_features: int, out_features: int, size: int = 0) -> Projection:
    """The projection ``name``; ``size`` is the depth of acdc and hadamard, the block of bh1 to bh4
    and shufflenet, and nothing to dense. ConfigError for an unknown name or an illegal size."""
    if name not in PROJECTIONS:
        raise ConfigError(f"projection is {name!r}, must be one of {', '.join(PROJECTIONS)}")
    return _MAKE[name](in_features, out_features, size)
