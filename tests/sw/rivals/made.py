"""Layers that the tests of the rivals ask about."""

import numpy as np

from sw.io.shipped import HEAD
from sw.rivals.operands import read_layer
from sw.rivals.rival import Layer

__all__ = ["random_layer", "shipped"]


def shipped(n=512, **more) -> Layer:
    """The trained head that ships, 512 of its tokens, d = dw = 64: the shape of the CTA paper."""
    return read_layer(HEAD, n, **more)


def random_layer(n=40, heads=2, d=16, seed=0, scale=1.0, **more) -> Layer:
    """Gaussian queries and keys."""
    q, k = scale * np.random.default_rng(seed).standard_normal((2, heads, n, d))
    return Layer(n, heads, d=d, q=q, k=k, **more)
