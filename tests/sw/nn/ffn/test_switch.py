"""The Switch mixture against a loop over tokens."""

import math

import numpy as np
import pytest
import torch

from sw.nn.ffn.switch import SwitchFFN


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def reference(ffn, x):
    """y, tokens sent to each expert, dropped tokens, mean probabilities: token after token."""
    router, up, down = (p.detach().numpy() for p in (ffn.router, ffn.up, ffn.down))
    room = math.inf if ffn.capacity is None else math.ceil(ffn.capacity * len(x) / ffn.experts)
    y, load, dropped, mean = np.zeros_like(x), [0] * ffn.experts, 0, np.zeros(ffn.experts)
    for t, token in enumerate(x):
        logits = router @ token
        p = np.exp(logits - logits.max())
        p /= p.sum()
        mean += p / len(x)
        e = int(p.argmax())
        if load[e] < room:
            y[t] = p[e] * (down[e] @ np.maximum(up[e] @ token, 0))
        else:
            dropped += 1
        load[e] += 1
    return y, load, dropped, mean


@pytest.mark.parametrize("tokens", [1, 2, 23])
@pytest.mark.parametrize("capacity", [None, 0.5, 1.0, 1.25, 100.0])
def test_values(tokens, capacity):
    ffn = SwitchFFN(6, 5, experts=4, capacity=capacity, balance=0.1, seed=tokens).double()
    x = torch.randn(tokens, 6, dtype=torch.float64,
                    generator=torch.Generator().manual_seed(tokens)) * 3
    y, load, dropped, mean = reference(ffn, x.numpy())
    np.testing.assert_allclose(ffn(x).detach().numpy(), y, atol=1e-12)
    assert ffn.load.tolist() == load and ffn.dropped == dropped
    balance = 0.1 * 4 * sum(f / tokens * p for f, p in zip(load, mean))
    assert ffn.aux_loss.item() == pytest.approx(balance, abs=1e-12)


def test_tokens_over_the_capacity_give_zero_and_earlier_ones_come_first():
    ffn = SwitchFFN(6, 5, experts=4, capacity=1.0, seed=0).double()
    x = torch.randn(1, 6, dtype=torch.float64).expand(10, 6)            # all to one expert
    y = ffn(x)
    assert ffn.dropped == 7 and sorted(ffn.load.tolist()) == [0, 0, 0, 10]
    assert (y[3:] == 0).all() and (y[0] != 0).any()
    torch.testing.assert_close(y[:3], y[:1].expand(3, 6), rtol=0, atol=1e-14)


def test_the_router_learns_through_the_probability():
    ffn = SwitchFFN(6, 5, experts=4, seed=0).double()
    x = torch.randn(9, 6, dtype=torch.float64)
    ffn(x).sum().backward()
    found = ffn.router.grad.clone()
    for e, i in ((0, 0), (2, 3), (3, 5)):
        sums = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                ffn.router[e, i] += step
                sums.append(ffn(x).sum().item())
                ffn.router[e, i] -= step
        assert found[e, i].item() == pytest.approx((sums[0] - sums[1]) / 2e-6, abs=1e-7)


def test_balance_loss_is_least_for_even_loads_and_off_in_evaluation():
    even = SwitchFFN(2, 3, experts=2, balance=1.0, seed=0).double()
    even.router.data = torch.tensor([[20.0, 0.0], [0.0, 20.0]], dtype=torch.float64)
    even(torch.eye(2, dtype=torch.float64))
    assert even.aux_loss.item() == pytest.approx(1.0)
    even(torch.eye(2, dtype=torch.float64)[[0, 0]])
    assert even.aux_loss.item() == pytest.approx(2.0)
    even.eval()(torch.eye(2, dtype=torch.float64))
    assert even.aux_loss is None
    plain = SwitchFFN(2, 3)
    plain(torch.eye(2))
    assert plain.aux_loss is None


def test_jitter_moves_the_router_in_training_only():
    ffn = SwitchFFN(6, 5, experts=4, jitter=0.5, seed=0)
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    assert (ffn(x) != ffn(x)).any()
    ffn.eval()
    assert (ffn(x) == ffn(x)).all()


def test_one_expert_is_a_plain_network():
    ffn = SwitchFFN(4, 3, experts=1, seed=0)
    x = torch.randn(5, 4)
    torch.testing.assert_close(ffn(x), torch.relu(x @ ffn.up[0].T) @ ffn.down[0].T)


def test_flop_of_the_paper():
    assert SwitchFFN(512).flop == 2_105_344                             # Table 1: 2.11 M
    assert SwitchFFN(512, 1024, experts=8).flop == 4 * 512 * 1024 + 2 * 512 * 8


@pytest.mark.parametrize("option, message", [
    ({"experts": 0}, "experts is 0, must be an integer >= 1"),
    ({"capacity": 0.0}, r"capacity is 0.0, must be a number >= 0.01"),
    ({"balance": -1}, "balance is -1, must be a number >= 0"),
    ({"jitter": 2.0}, r"jitter is 2.0, must be a number in \[0, 1\]"),
    ({"d_ff": 2.0}, "d_ff is 2.0, must be an integer >= 1"),
])
def test_refused(option, message):
    with pytest.raises(ValueError, match=message):
        SwitchFFN(8, **option)
