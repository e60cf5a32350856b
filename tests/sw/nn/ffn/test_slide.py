"""SLIDE against a loop over passes, tokens, neurons and tables."""

import math

import numpy as np
import pytest
import torch

from sw.nn.ffn.slide import SlideFFN, sim_hash


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def codes(vector, projection, tables):
    bits = projection.shape[1] // tables
    return [sum(1 << k for k in range(bits) if vector @ projection[:, table * bits + k] > 0)
            for table in range(tables)]


def active_sets(ffn, x):
    """The set S of each pass."""
    projection = ffn.projection.detach().numpy()
    up, bias = ffn.up.detach().numpy(), ffn.up_bias.detach().numpy()
    neurons = [codes(np.append(w, b), projection, ffn.tables) for w, b in zip(up, bias)]
    sets = []
    for start in range(0, len(x), ffn.per_pass):
        found = set()
        for token in x[start:start + ffn.per_pass]:
            mine = codes(np.append(token, 1.0), projection, ffn.tables)
            found |= {i for i, other in enumerate(neurons)
                      if any(a == b for a, b in zip(mine, other))}
        sets.append(found)
    return sets


def reference(ffn, x):
    up, bias, down, c = (p.detach().numpy()
                         for p in (ffn.up, ffn.up_bias, ffn.down, ffn.out_bias))
    y = np.zeros_like(x) + c
    for t, token in enumerate(x):
        for i in active_sets(ffn, x)[t // ffn.per_pass]:
            a = up[i] @ token + bias[i]
            y[t] += down[i] * a * (1 + math.erf(a / math.sqrt(2))) / 2
    return y


def layer(seed, **options):
    ffn = SlideFFN(6, 20, seed=seed, **options).double()
    torch.nn.init.normal_(ffn.up_bias)
    torch.nn.init.normal_(ffn.out_bias)
    return ffn


@pytest.mark.parametrize("tokens", [1, 4, 11])
@pytest.mark.parametrize("bits, tables, per_pass", [(2, 1, 4), (4, 2, 4), (5, 3, 1), (3, 2, 128)])
def test_values(tokens, bits, tables, per_pass):
    ffn = layer(tokens, bits=bits, tables=tables, per_pass=per_pass)
    x = torch.randn(tokens, 6, dtype=torch.float64)
    np.testing.assert_allclose(ffn(x).detach().numpy(), reference(ffn, x.numpy()), atol=1e-12)
    sizes = [len(s) for s in active_sets(ffn, x.numpy())]
    mean = sum(sizes[t // per_pass] for t in range(tokens)) / tokens
    assert ffn.active == pytest.approx(mean)
    assert ffn.flop == round(4 * 6 * mean) + 7 * bits * tables


def test_equal_tokens_find_what_one_finds():
    ffn = layer(0, bits=4, tables=2)
    token = torch.randn(6, dtype=torch.float64)
    y = ffn(token.expand(9, 6))
    size = ffn.active
    torch.testing.assert_close(y, ffn(token).expand(9, 6), rtol=0, atol=1e-14)
    assert ffn.active == size


def test_without_a_hit_the_output_is_its_bias():
    ffn = layer(0, bits=3, tables=1)
    with torch.no_grad():                       # neurons all in bucket 7, the token in bucket 0
        ffn.projection[:] = 0.0
        ffn.projection[0] = 1.0
        ffn.up[:, 0] = 1.0
    x = torch.randn(5, 6, dtype=torch.float64)
    x[:, 0] = -1.0
    y = ffn(x)
    assert (y == ffn.out_bias).all() and ffn.active == 0 and ffn.flop == 7 * 3
    y.sum().backward()
    assert (ffn.up.grad == 0).all() and (ffn.out_bias.grad == 5).all()


def test_all_neurons_found_is_the_vanilla_network():
    ffn = layer(0, bits=1, tables=12, per_pass=64)
    x = torch.randn(64, 6, dtype=torch.float64)
    y = ffn(x)
    assert ffn.active == 20
    full = torch.nn.functional.gelu(x @ ffn.up.T + ffn.up_bias) @ ffn.down + ffn.out_bias
    torch.testing.assert_close(y, full, rtol=0, atol=1e-12)


def test_gradient_reaches_active_neurons_only():
    ffn = layer(3, bits=4, tables=2, per_pass=3)
    x = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    ffn(x).sum().backward()
    (found,) = active_sets(ffn, x.detach().numpy())
    assert 0 < len(found) < 20
    assert set(ffn.up.grad.abs().sum(1).nonzero().flatten().tolist()) == found
    assert set(ffn.down.grad.abs().sum(1).nonzero().flatten().tolist()) == found
    assert (x.grad != 0).any()


def test_hash():
    projection = torch.tensor([[1.0, -1.0, 1.0, 1.0], [0.0, 0.0, -1.0, 1.0]])
    vectors = torch.tensor([[2.0, 1.0], [-2.0, 1.0], [0.0, 0.0]])
    # table 0: signs of (x, -x); table 1: of (x - y, x + y); the first bit is the least.
    assert sim_hash(vectors, projection, 2).tolist() == [[1, 3], [2, 0], [0, 0]]


def test_projection_is_signs_and_not_trained():
    ffn = SlideFFN(16, bits=4, tables=5, seed=0)
    assert ffn.projection.shape == (17, 20) and set(ffn.projection.unique().tolist()) == {-1, 1}
    assert "projection" not in dict(ffn.named_parameters()) and "projection" in ffn.state_dict()


def test_active_share_of_the_paper():
    """Independent tokens at the defaults: the paper's 1.32 MFLOP within a tenth."""
    ffn = SlideFFN(512, seed=0)
    assert ffn.flop == 4 * 512 * 2048 + 513 * 30             # nothing seen yet: all neurons
    with torch.no_grad():
        ffn(torch.randn(512, 512, generator=torch.Generator().manual_seed(0)))
    assert ffn.flop == round(2048 * ffn.active) + 513 * 30
    assert ffn.flop == pytest.approx(1.32e6, rel=0.1)


@pytest.mark.parametrize("option, message", [
    ({"bits": 17}, r"bits is 17, must be an integer in 1\.\.16"),
    ({"tables": 0}, "tables is 0, must be an integer >= 1"),
    ({"per_pass": 0}, "per_pass is 0, must be an integer >= 1"),
])
def test_refused(option, message):
    with pytest.raises(ValueError, match=message):
        SlideFFN(8, **option)
