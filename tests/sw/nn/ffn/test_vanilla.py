"""The vanilla FFN against a matrix product in numpy."""

import math

import numpy as np
import pytest
import torch

from sw.nn.ffn.vanilla import VanillaFFN


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_values():
    ffn = VanillaFFN(6, 10, seed=1).double()
    torch.nn.init.normal_(ffn.up.bias)
    torch.nn.init.normal_(ffn.down.bias)
    x = torch.randn(3, 4, 6, dtype=torch.float64)
    w, b, v, c = (p.detach().numpy() for p in (ffn.up.weight, ffn.up.bias, ffn.down.weight,
                                               ffn.down.bias))
    a = x.numpy() @ w.T + b
    gelu = np.vectorize(lambda t: t * (1 + math.erf(t / math.sqrt(2))) / 2)(a)
    np.testing.assert_allclose(ffn(x).detach().numpy(), gelu @ v.T + c, atol=1e-12)


def test_flop_of_the_paper():
    assert VanillaFFN(512).flop == 4 * 512 * 2048 == 4_194_304         # Table 1: 4.19 M
    assert VanillaFFN(768).flop == 9_437_184                           # Table 2: 9.44 M
    assert VanillaFFN(64, 100).flop == 25_600
