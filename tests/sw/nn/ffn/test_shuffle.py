"""The grouped FFN with channel shuffle against a loop over neurons."""

import math

import numpy as np
import pytest
import torch

from sw.nn.ffn.shuffle import ShuffleFFN


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def reference(ffn, token):
    """One token, one neuron after another."""
    up, b, down, c = (p.detach().numpy() for p in (ffn.up, ffn.up_bias, ffn.down, ffn.out_bias))
    g, inner, outer = up.shape
    a = np.zeros(ffn.d_ff)
    for group in range(g):
        for i in range(inner):
            # The channel shuffle: neuron i of its group comes to place i of the transposed order.
            a[i * g + group] = up[group, i] @ token[group * outer:(group + 1) * outer]
    a = np.array([t * (1 + math.erf(t / math.sqrt(2))) / 2 for t in a + b])
    y = np.zeros(ffn.d)
    for group in range(g):
        for o in range(outer):
            y[group * outer + o] = down[group, o] @ a[group * inner:(group + 1) * inner]
    return y + c


@pytest.mark.parametrize("d, d_ff, groups", [(6, 12, 1), (6, 12, 2), (6, 12, 3), (6, 6, 6),
                                             (4, 20, 4)])
def test_values(d, d_ff, groups):
    ffn = ShuffleFFN(d, d_ff, groups=groups, seed=0).double()
    torch.nn.init.normal_(ffn.up_bias)
    torch.nn.init.normal_(ffn.out_bias)
    x = torch.randn(7, d, dtype=torch.float64)
    expected = np.stack([reference(ffn, token) for token in x.numpy()])
    np.testing.assert_allclose(ffn(x).detach().numpy(), expected, atol=1e-12)


def test_the_shuffle_lets_each_output_see_each_input():
    ffn = ShuffleFFN(8, 32, groups=4, seed=0).double()
    x = torch.randn(8, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(ffn, x)
    assert (jacobian != 0).all()


def test_flop_of_the_paper():
    assert ShuffleFFN(512).flop == 2_097_152                            # Table 1: 2.10 M
    for groups in (1, 2, 4, 8):
        ffn = ShuffleFFN(64, groups=groups)
        assert ffn.flop == 2 * (ffn.up.numel() + ffn.down.numel())


@pytest.mark.parametrize("options, message", [
    ({"groups": 3}, "groups is 3, must divide d = 8"),
    ({"groups": 4, "d_ff": 10}, "groups is 4, must divide d_ff = 10"),
    ({"groups": 0}, "groups is 0, must be an integer >= 1"),
])
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ShuffleFFN(8, **options)
