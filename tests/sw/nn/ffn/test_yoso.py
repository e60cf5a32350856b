"""YOSO against loops over tokens, neurons and hashes; its gradients against the formulas."""

import math

import numpy as np
import pytest
import torch

from sw.nn.ffn.yoso import SHRINK, YosoFFN, collision_probability, cumulate, hd3_codes


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def sylvester(n):
    h = np.ones((1, 1))
    while len(h) < n:
        h = np.block([[h, h], [h, -h]])
    return h


def codes(vector, signs, tau, h):
    """One vector, one hash after another."""
    _, copies, n = signs.shape
    matrix, room, found = sylvester(n), n // tau, []
    padded = np.append(vector, np.zeros(n - len(vector)))
    for k in range(h):
        copy, place = divmod(k, room)
        y = padded
        for diagonal in signs[:, copy]:
            y = matrix @ (diagonal * y)
        bits = y[place * tau:(place + 1) * tau] > 0
        found.append(sum(1 << j for j in range(tau) if bits[j]))
    return found


def unit(v):
    size = np.linalg.norm(v)
    return v / size if size else v


def layer(d=6, d_ff=9, **options):
    ffn = YosoFFN(d, d_ff, **options).double()
    torch.nn.init.normal_(ffn.out_bias)
    return ffn


@pytest.mark.parametrize("d, h, tau", [(6, 1, 1), (6, 5, 3), (8, 12, 5), (4, 7, 4), (6, 4, 8)])
def test_sampled_values(d, h, tau):
    ffn = layer(d, h=h, tau=tau, seed=d).eval()
    x = torch.randn(5, d, dtype=torch.float64)
    up, down, c, signs = (t.detach().numpy()
                          for t in (ffn.up, ffn.down, ffn.out_bias, ffn.signs.double()))
    neurons = [codes(w, signs, tau, h) for w in up]
    expected = []
    for token in x.numpy():
        y = np.zeros(d)
        for k, code in enumerate(codes(token, signs, tau, h)):
            for i, other in enumerate(neurons):
                if code == other[k]:
                    y += down[i] / h
        expected.append(unit(y) + c)
    np.testing.assert_allclose(ffn(x).detach().numpy(), np.stack(expected), atol=1e-12)


def probability(q, w, tau, shrink=1.0):
    return (1 - math.acos(max(-1, min(1, shrink * (q @ w)))) / math.pi) ** tau


def test_expected_values():
    ffn = layer(tau=4, expected=True)
    x = torch.randn(5, 6, dtype=torch.float64)
    up, down, c = (p.detach().numpy() for p in (ffn.up, ffn.down, ffn.out_bias))
    expected = [unit(sum(probability(unit(token), unit(w), 4, SHRINK) * v
                         for w, v in zip(up, down))) + c for token in x.numpy()]
    np.testing.assert_allclose(ffn(x).detach().numpy(), np.stack(expected), atol=1e-12)


def test_collisions_come_with_the_probability_of_the_angle():
    """30,000 hashes of 3 bits; the deviation of a mean is at most .003."""
    d, tau, h = 64, 3, 30_000
    copies = -(-h // (d // tau))
    signs = torch.randint(0, 2, (3, copies, d)) * 2.0 - 1.0
    q = torch.nn.functional.normalize(torch.randn(4, d), dim=-1)
    w = torch.nn.functional.normalize(q[:, None] + 0.2 * torch.randn(4, 3, d), dim=-1).flatten(0, 1)
    a, b = hd3_codes(q, signs, tau, h), hd3_codes(w, signs, tau, h)
    found = (a[:, None] == b).float().mean(-1)
    expected = np.array([[probability(s, t, tau) for t in w.double().numpy()]
                         for s in q.double().numpy()])
    assert expected.max() > 0.2 and expected.min() < 0.14
    np.testing.assert_allclose(found.numpy(), expected, atol=0.02)
    assert abs(found.numpy() - expected).mean() < 0.005


def test_cumulation():
    codes_x, codes_w = torch.randint(0, 4, (7, 5)), torch.randint(0, 4, (6, 5))
    values = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    y = cumulate(codes_x, codes_w, values, 2)
    hits = (codes_x[:, None] == codes_w).double().mean(-1)
    torch.testing.assert_close(y, hits @ values, rtol=0, atol=1e-14)
    g = torch.randn(7, 3, dtype=torch.float64)
    y.backward(g)
    torch.testing.assert_close(values.grad, hits.T @ g, rtol=0, atol=1e-14)


def test_gradient_is_that_of_the_expectation():
    ffn = layer(h=7, tau=3)
    q = torch.nn.functional.normalize(torch.randn(4, 6, dtype=torch.float64), dim=-1)
    w = torch.nn.functional.normalize(torch.randn(9, 6, dtype=torch.float64), dim=-1)
    v, g = torch.randn(9, 6, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64)
    for leaf in (q, w, v):
        leaf.requires_grad_()
    y = ffn.eval()._sampled(q, w, v)
    grad_q, grad_w, grad_v = torch.autograd.grad(y, (q, w, v), g)
    expected_q, expected_w = torch.zeros_like(q), torch.zeros_like(w)
    for t in range(4):
        for i in range(9):
            cosine = SHRINK * (q[t] @ w[i]).item()
            slope = (3 * (1 - math.acos(cosine) / math.pi) ** 2 * SHRINK
                     / (math.pi * math.sqrt(1 - cosine ** 2))) * (g[t] @ v[i]).item()
            expected_q[t] += slope * w[i].detach()
            expected_w[i] += slope * q[t].detach()
    # To v only the collisions that were sampled.
    hits = (hd3_codes(q, ffn.signs, 3, 7)[:, None] == hd3_codes(w, ffn.signs, 3, 7)).double()
    torch.testing.assert_close(grad_v, hits.mean(-1).T @ g, rtol=0, atol=1e-12)
    torch.testing.assert_close(grad_q, expected_q, rtol=0, atol=1e-12)
    torch.testing.assert_close(grad_w, expected_w, rtol=0, atol=1e-12)


def test_the_gradient_path_leaves_the_value_alone():
    ffn = layer(h=7, tau=3).eval()
    x = torch.randn(5, 6, dtype=torch.float64)
    with torch.no_grad():
        without = ffn(x)
    assert (ffn(x) == without).all()


def test_length_of_tokens_and_weights_is_of_no_effect():
    ffn = layer(h=7, tau=3).eval()
    x = torch.randn(5, 6, dtype=torch.float64)
    y = ffn(x)
    with torch.no_grad():
        ffn.up *= 8
        ffn.down *= 4
    torch.testing.assert_close(ffn(x * 16), y, rtol=0, atol=1e-14)
    torch.testing.assert_close((y - ffn.out_bias).norm(dim=-1), torch.ones(5).double())


def test_no_collision_gives_the_bias():
    ffn = layer(d_ff=1, h=1, tau=6, seed=0).eval()
    ffn(-ffn.up.detach())                                   # the opposite: every bit differs
    assert (ffn(-ffn.up.detach()) == ffn.out_bias).all()
    zero = ffn(torch.zeros(1, 6, dtype=torch.float64))      # bits all 0, no direction
    assert torch.isfinite(zero).all()


def test_gradients_stay_finite_at_parallel_and_zero_vectors():
    ffn = layer(h=4, tau=3)
    x = torch.cat([ffn.up.detach()[:2], -ffn.up.detach()[:1], torch.zeros(1, 6).double()])
    x.requires_grad_()
    ffn(x).sum().backward()
    assert all(torch.isfinite(t.grad).all() for t in (x, ffn.up, ffn.down))


def test_signs_are_fresh_in_training_and_fixed_in_evaluation():
    ffn = layer(h=3, tau=3)
    x = torch.randn(20, 6, dtype=torch.float64)
    assert (ffn(x) != ffn(x)).any()
    ffn.eval()
    assert (ffn(x) == ffn(x)).all()


def test_flop_of_the_paper():
    ffn = YosoFFN(512)
    assert ffn.copies == 6 and ffn.signs.shape == (3, 6, 512)
    assert ffn.flop == 6 * 3 * 512 * 9 + 512 * 512 == 345_088            # Table 1: 0.35 M
    assert YosoFFN(512, expected=True).flop == 4 * 512 * 2048


@pytest.mark.parametrize("option, message", [
    ({"tau": 17}, r"tau is 17, must be an integer in 1\.\.16"),
    ({"tau": 9}, "tau is 9, must be at most 8"),
    ({"h": 0}, "h is 0, must be an integer >= 1"),
    ({"expected": 1}, "expected is 1, must be True or False"),
])
def test_refused(option, message):
    with pytest.raises(ValueError, match=message):
        YosoFFN(6, **option)


def test_probability_at_the_ends():
    q = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    p = collision_probability(q, torch.cat([q, -q, q.flip(1)]), 1)
    edge = 1 - math.acos(SHRINK) / math.pi
    torch.testing.assert_close(p, torch.tensor([[edge, 1 - edge, 0.5]], dtype=torch.float64),
                               rtol=0, atol=1e-14)
