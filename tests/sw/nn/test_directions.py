"""Hash directions: fitted ones against model.cta.calibrate, learned ones by what they learn."""

import math

import numpy as np
import pytest
import torch

from model.cta.calibrate import projection
from model.cta.config import CTAConfig
from model.cta.reference import synthetic
from sw.nn import clustering, directions, widths
from sw.nn.cta_heads import CTAHeads


def single_head(real):
    layer = CTAHeads(real.wq.shape[0], 1).double()
    with torch.no_grad():
        for linear, w in ((layer.q, real.wq), (layer.k, real.wk), (layer.v, real.wv)):
            linear.weight.copy_(torch.from_numpy(w.T.copy()))
    return layer


def test_a_single_head_has_the_directions_of_calibration():
    real = synthetic(96, 32)
    a = directions.projection_directions(single_head(real), torch.from_numpy(real.xq)[None])
    expected = projection(CTAConfig(d=32), real)
    sign = np.sign((a.numpy() * expected).sum(-1, keepdims=True))
    np.testing.assert_allclose(a.numpy(), sign * expected, rtol=0, atol=1e-10)


def test_all_heads_and_all_valid_tokens_count():
    layer = CTAHeads(12, 3, l=4).double()
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(3, 20, 12)) * np.linspace(3, 0.5, 12))
    y = torch.from_numpy(rng.normal(size=(3, 15, 12)))
    vx, vy = (torch.from_numpy(rng.random((3, n)) < 0.6) for n in (20, 15))
    x[~vx] = torch.nan
    a = directions.projection_directions(layer, x, y, vx, vy).numpy()

    def expected(tokens, *linears):
        z = np.concatenate([tokens.numpy() @ y.weight.detach().numpy().T for y in linears], axis=1)
        value, vector = np.linalg.eigh(np.cov(z.T))
        weight = np.concatenate([y.weight.detach().numpy() for y in linears])
        a = vector[:, ::-1][:, :4].T @ weight
        return a * math.sqrt(a.size) / np.linalg.norm(a)

    for c, b in enumerate((expected(x[vx], layer.q), expected(y[vy], layer.k, layer.v))):
        np.testing.assert_allclose(np.abs(a[c]), np.abs(b), rtol=0, atol=1e-9)
        assert (a[c][np.arange(4), np.abs(a[c]).argmax(1)] > 0).all()
    np.testing.assert_array_equal(a[1], a[2])


def test_fewer_directions_than_l_leave_zeros():
    layer = CTAHeads(12, 3, l=6).double()
    x = torch.randn(1, 4, 12, dtype=torch.double)      # four tokens vary in three directions
    directions.fit(layer, x)
    assert layer.directions == "projection"
    assert (layer.a.abs().amax(-1) > 0).sum(-1).tolist() == [3, 3, 3]
    directions.fit(layer, x[:, :1])
    assert layer.a.abs().max() == 0
    assert layer(x).isfinite().all()


def test_fit_is_where_learning_may_start():
    layer = CTAHeads(12, 3, directions="learned").double()
    directions.fit(layer, torch.randn(2, 30, 12, dtype=torch.double))
    assert layer.directions == "learned" and layer.a.requires_grad


def test_projection_is_closer_to_exact_attention_at_the_same_compression():
    torch.manual_seed(0)
    layer = CTAHeads(32, 4)
    topics = torch.randn(40, 32)
    x = topics[torch.randint(40, (4, 96))] + 0.4 * torch.randn(4, 96, 32)
    with torch.no_grad():
        for linear in (layer.q, layer.k, layer.v):
            linear.weight[:, 8:] *= 0.2       # attention that looks at some of the token only

    def error():
        widths.calibrate(layer, x, rl=0.5)
        layer.mode = "exact"
        exact = layer(x)
        layer.mode = "cta"
        return float((layer(x) - exact).norm() / exact.norm())

    with torch.no_grad():
        random = error()
        directions.fit(layer, x)
        assert error() < 0.8 * random


# -- learned --------------------------------------------------------------------------------------

def test_learning_directions_does_not_change_the_forward_value_or_other_gradients():
    torch.manual_seed(0)
    fixed, learned = (CTAHeads(24, 3, l=3, directions=kind, shared=False).double()
                      for kind in ("random", "learned"))
    learned.load_state_dict(fixed.state_dict())
    valid = torch.rand(2, 40) < 0.8
    results = []
    for layer in (fixed, learned):
        layer.w.mul_(0.8)
        x = torch.randn(2, 40, 24, dtype=torch.double,
                        generator=torch.Generator().manual_seed(1)).requires_grad_()
        o = layer(x, valid_q=valid)
        assert (layer.counts[:, :2] < layer.lengths).all() and (layer.counts > 1).all()
        o.square().sum().backward()
        results.append([o, x.grad, *(layer.get_submodule(n).weight.grad for n in "qkv")])
    for one, other in zip(*results):
        assert torch.equal(one, other)
    assert fixed.a.grad is None
    grad = learned.a.grad
    assert grad.isfinite().all() and (grad.flatten(1).norm(dim=1) > 0).all()
    # Nothing to be won by longer directions, that is by narrower buckets.
    for level in range(3):
        along = float((grad[level] * learned.a[level].detach()).sum())
        assert abs(along) < 1e-12 * float(grad[level].norm() * learned.a[level].detach().norm())


def test_the_gradient_is_that_of_reading_from_all_clusters_by_affinity():
    rng = np.random.default_rng(0)
    x, v = (torch.from_numpy(rng.normal(size=(1, 6, 4))) for _ in range(2))
    a = torch.from_numpy(rng.normal(size=(2, 4))).requires_grad_()
    ct, k = clustering.clusters(torch.tensor([[[0], [1], [0], [2], [1], [0]]]))
    c = clustering.means(x, ct, 5)            # two rows more than there are clusters
    goal = torch.from_numpy(rng.normal(size=(6, 4)))
    p = directions.pull(x, c, k, a, torch.tensor(1.5))
    assert p.shape == (1, 6, 5) and (p == 0).all()
    (p @ torch.cat([v[:, :3], torch.full((1, 2, 4), 9.0)], dim=1) * goal).sum().backward()

    def soft(a):
        a = a / np.linalg.norm(a) * np.linalg.norm(start)
        total = 0.0
        for j in range(6):
            u, at = x[0, j].numpy() @ a.T / 1.5, c[0, :3].numpy() @ a.T / 1.5
            near = np.exp(-((u - at) ** 2).sum(1))
            total += float((near / near.sum()) @ v[0, :3].numpy() @ goal[j].numpy())
        return total

    start = a.detach().numpy().copy()
    for i in np.ndindex(*start.shape):
        step = np.zeros_like(start)
        step[i] = 1e-5
        slope = (soft(start + step) - soft(start - step)) / 2e-5
        assert float(a.grad[i]) == pytest.approx(slope, abs=1e-7)


def test_learning_lowers_the_loss_at_the_same_compression():
    """Attention looks at 6 of 32 dimensions; the hash does not know, and learns which.

    The task changes nothing but A, and both losses are taken at RL = 0.5 and on other tokens.
    """
    torch.manual_seed(0)
    layer = CTAHeads(32, 4, l=4, directions="learned", shared=False)
    with torch.no_grad():
        for linear in (layer.q, layer.k, layer.v):
            linear.weight.normal_(0, 0.5)
            linear.weight[:, 6:] *= 0.1
            linear.requires_grad_(False)
    sample, unseen = torch.randn(12, 48, 32), torch.randn(12, 48, 32)

    def loss(x):
        layer.mode = "exact"
        exact = layer(x)
        layer.mode = "cta"
        return (layer(x) - exact).square().mean() / exact.square().mean()

    widths.calibrate(layer, sample, rl=0.5)
    before = float(loss(unseen).detach())
    optimizer = torch.optim.Adam([layer.a], lr=0.05)
    for step in range(30):
        optimizer.zero_grad()
        loss(torch.randn(12, 48, 32)).backward()
        optimizer.step()
        if step % 10 == 9:
            reached = widths.calibrate(layer, sample, rl=0.5)
    assert reached.rl == pytest.approx(0.5, abs=0.01)
    assert float(loss(unseen).detach()) < 0.85 * before
    energy = layer.a[0].detach().square().sum(0)
    assert float(energy[:6].sum() / energy.sum()) > 0.3      # 6/32 at the start
