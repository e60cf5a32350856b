"""CTAHeads against model.cta.reference, head by head and sequence by sequence."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the sw extra")

from model.cta import reference  # noqa: E402
from model.cta.calibrate import draw  # noqa: E402
from model.cta.cost import attention_ratio, linear_ratio  # noqa: E402
from sw.nn.cta_heads import CTAHeads  # noqa: E402


def make(dim=24, heads=3, w=0.6, **options):
    """Seeded layer in double precision; ``w`` in units of a typical projection."""
    torch.manual_seed(0)
    layer = CTAHeads(dim, heads, **options).double()
    layer.w.mul_(w)
    return layer


def tokens(seed, batch, n, dim=24):
    """Around n/3 topics, so that residuals matter."""
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(max(1, n // 3), dim))
    x = topics[rng.integers(len(topics), size=(batch, n))]
    return torch.from_numpy(x + 0.2 * rng.normal(size=(batch, n, dim)))


def padding(seed, batch, n):
    valid = torch.from_numpy(np.random.default_rng(seed).random((batch, n)) < 0.7)
    valid[:, n // 2] = True
    return valid


def weights(layer, h):
    """wq wk wv bq bv of one head, as the reference wants them."""
    rows = slice(h * (layer.dim // layer.heads), (h + 1) * (layer.dim // layer.heads))
    zero = torch.zeros(layer.dim, dtype=torch.double)
    bq, bv = (zero if y.bias is None else y.bias for y in (layer.q, layer.v))
    return [y.detach().numpy() for y in (layer.q.weight[rows].T, layer.k.weight[rows].T,
                                         layer.v.weight[rows].T, bq[rows], bv[rows])]


def expected(layer, xq, xkv):
    """Output of one sequence by the reference, and its counts."""
    a, w = layer.a.detach().numpy(), layer.w.numpy()
    ct = reference.clusters(xq, xkv, a, layer.offset.numpy() * w[:, None], w)
    if layer.mode == "exact":
        o = [reference.attention_exact(xq, xkv, *weights(layer, h)) for h in range(layer.heads)]
        return np.concatenate(o, axis=1), [len(xq), len(xkv), 0]
    o = [reference.attention_cta(xq, xkv, *weights(layer, h), *ct) for h in range(layer.heads)]
    return np.concatenate(o, axis=1), [int(c.max()) + 1 for c in ct]


def check(layer, xq, xkv=None, valid_q=None, valid_kv=None):
    """Every sequence of the batch, without its padding, is the reference."""
    with torch.no_grad():
        o = layer(xq, xkv, valid_q, valid_kv)
    assert o.shape == xq.shape and o.dtype == torch.double
    for s in range(len(xq)):
        q = xq[s] if valid_q is None else xq[s][valid_q[s]]
        other, ok = (xq, valid_q) if xkv is None else (xkv, valid_kv)
        kv = other[s] if ok is None else other[s][ok[s]]
        y, counts = expected(layer, q.numpy(), kv.numpy())
        mine = o[s] if valid_q is None else o[s][valid_q[s]]
        np.testing.assert_allclose(mine.numpy(), y, rtol=0, atol=1e-10)
        assert layer.counts[s].tolist() == counts
        assert layer.lengths[s].tolist() == [len(q), len(kv)]
        assert valid_q is None or (o[s][~valid_q[s]] == 0).all()


@pytest.mark.parametrize("mode", ["cta", "exact"])
@pytest.mark.parametrize("dim, heads, l, bias, shared", [
    (24, 3, 4, True, True), (24, 1, 6, False, True), (32, 8, 1, True, False),
    (16, 2, 8, True, False)])
def test_the_reference_gives_the_same(mode, dim, heads, l, bias, shared):  # noqa: E741
    layer = make(dim, heads, l=l, bias=bias, shared=shared, mode=mode)
    x, y = tokens(1, 3, 26, dim), tokens(2, 3, 19, dim)
    check(layer, x)
    check(layer, x, y)
    check(layer, y, x, padding(3, 3, 19), padding(4, 3, 26))
    check(layer, x, y, None, padding(5, 3, 19))
    check(layer, x, valid_q=padding(6, 3, 26))


def test_the_test_has_clusters_of_several_sizes_on_every_level():
    layer = make(l=4)
    layer(tokens(1, 3, 26))
    assert (layer.counts > 1).all() and (layer.counts[:, :2] < 26).all()


def test_shapes_at_the_edges():
    check(make(), tokens(1, 2, 1))
    check(make(), tokens(1, 2, 1), tokens(2, 2, 9))
    check(make(), tokens(1, 1, 9), tokens(2, 1, 1))


def test_equal_tokens_are_one_cluster():
    layer = make()
    x = tokens(1, 2, 1).expand(2, 12, 24)
    check(layer, x)
    assert layer.counts.tolist() == [[1, 1, 1]] * 2
    # Attention to equal tokens is their value.
    torch.testing.assert_close(layer(x), layer.v(x), rtol=0, atol=1e-12)


def test_distinct_tokens_in_narrow_buckets_are_exact_attention():
    layer = make(w=0.02)
    x = tokens(1, 2, 15)
    o = layer(x)
    assert layer.counts.tolist() == [[15, 15, 1]] * 2
    layer.mode = "exact"
    torch.testing.assert_close(o, layer(x), rtol=0, atol=1e-12)


def test_one_mask_is_enough_in_self_attention_and_padding_may_hold_anything():
    layer, x, valid = make(), tokens(1, 2, 20), padding(2, 2, 20)
    o = layer(x, valid_q=valid)
    assert torch.equal(o, layer(x, valid_kv=valid))
    x[~valid] = torch.nan
    assert torch.equal(o, layer(x, valid_q=valid))
    layer.a.requires_grad_(True)
    assert torch.equal(o, layer(x, valid_q=valid))


def test_a_key_bias_cancels():
    layer, x = make(), tokens(1, 2, 20)
    o = layer(x)
    with torch.no_grad():
        layer.k.bias += 3
    torch.testing.assert_close(o, layer(x), rtol=0, atol=1e-11)


# -- gradients ------------------------------------------------------------------------------------

def dense(layer, x, ct, k):
    """CTA of one sequence by averaging matrices: tokens -> centroids -> tokens, all dense."""
    def share(c):
        p = torch.nn.functional.one_hot(ct[c], k[c]).double()
        return p @ (p / p.sum(0)).T       # (n, n): every token to the mean of its cluster

    p0, p1, p2 = (share(c) for c in range(3))
    x1, x2 = p1 @ x, p2 @ (x - p1 @ x)
    q = layer.q(p0 @ x)
    key, value = (x1 @ y.weight.T + x2 @ y.weight.T + y.bias for y in (layer.k, layer.v))
    d = layer.dim // layer.heads
    o = []
    for h in range(layer.heads):
        rows = slice(h * d, (h + 1) * d)
        p = torch.softmax(q[:, rows] @ key[:, rows].T / math.sqrt(d), dim=1)
        o.append(p @ value[:, rows])
    return torch.cat(o, dim=1)


def test_gradients_are_those_of_dense_averages_with_the_clusters_fixed():
    layer = make(l=4)
    x = tokens(1, 2, 26).requires_grad_()
    goal = torch.randn(2, 26, 24, dtype=torch.double)
    (layer(x) * goal).sum().backward()
    mine = [x.grad.clone()] + [p.grad.clone() for p in layer.parameters() if p.requires_grad]
    x.grad = None
    layer.zero_grad()
    a, w = layer.a.detach().numpy(), layer.w.numpy()
    o = []
    for s in range(2):
        y = x[s].detach().numpy()
        ct = reference.clusters(y, y, a, layer.offset.numpy() * w[:, None], w)
        o.append(dense(layer, x[s], [torch.from_numpy(c) for c in ct],
                       [int(c.max()) + 1 for c in ct]))
    (torch.stack(o) * goal).sum().backward()
    theirs = [x.grad] + [p.grad for p in layer.parameters() if p.requires_grad]
    assert len(mine) == len(theirs) == 7
    for one, other in zip(mine, theirs):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    assert layer.a.grad is None


def test_numerical_gradients():
    layer = make(8, 2, l=2)
    valid = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    x = tokens(1, 2, 5, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: layer(x, valid_q=valid), (x,))


# -- the interface --------------------------------------------------------------------------------

def test_ratios_are_means_of_those_of_the_sequences():
    layer = make()
    with pytest.raises(RuntimeError, match="needs a forward first"):
        layer.ratios()
    layer(tokens(1, 3, 20), tokens(2, 3, 30), padding(3, 3, 20), padding(4, 3, 30))
    rl, ra = [], []
    for (k0, k1, k2), (m, n) in zip(layer.counts.tolist(), layer.lengths.tolist()):
        rl.append(linear_ratio(m, n, k0, k1 + k2))
        ra.append(attention_ratio(m, n, k0, k1 + k2))
    assert layer.ratios() == pytest.approx((np.mean(rl), np.mean(ra)), abs=1e-12)
    layer.mode = "exact"
    layer(tokens(1, 3, 20))
    assert layer.ratios() == (1.0, 1.0)


def test_directions_are_those_that_calibration_draws():
    class Cfg:
        l, dw = 5, 24  # noqa: E741

    for shared in (True, False):
        a, offset = draw(Cfg, 7, shared)
        layer = CTAHeads(24, 3, l=5, seed=7, shared=shared).double()
        np.testing.assert_allclose(layer.a.detach().numpy(), a, rtol=1e-6)
        np.testing.assert_allclose(layer.offset.numpy(), offset, rtol=1e-6)
        assert layer.a.requires_grad is False


def test_a_fake_is_called_in_place_of_the_computation():
    layer, x, y = make(), tokens(1, 2, 9), tokens(2, 2, 7)
    valid = padding(1, 2, 9)
    calls = []

    def fake(*given):
        calls.append(given)
        return given[1] + 1

    layer.fake = fake
    assert torch.equal(layer(x, y, valid), x + 1)
    assert torch.equal(layer(x, valid_kv=valid), x + 1)
    assert calls[0][:3] == (layer, x, y) and calls[0][3] is valid and calls[0][4] is None
    assert calls[1][2] is None and calls[1][3] is valid and calls[1][4] is valid
    assert layer.counts is None and layer.lengths.tolist() == [[int(v.sum())] * 2 for v in valid]
    layer.fake = None
    check(layer, x)


def test_dropout_only_in_training():
    layer, x = make(dropout=0.5), tokens(1, 2, 20)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    check(layer, x)


def test_autocast_leaves_the_clusters_alone():
    layer = make().float()
    x = tokens(1, 2, 64).float()
    o, counts = layer(x), layer.counts
    with torch.autocast("cpu", torch.bfloat16):
        low = layer(x)
    assert torch.equal(counts, layer.counts)
    assert 0 < (low - o).abs().max() < 0.05


def test_a_state_dict_carries_directions_offsets_and_widths():
    layer, x = make(seed=1, directions="learned", shared=False), tokens(1, 2, 20)
    other = CTAHeads(24, 3).double()
    other.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x), other(x))
    assert {"a", "offset", "w"} <= set(layer.state_dict())


@pytest.mark.parametrize("given, message", [
    (dict(heads=5), "heads is 5, must be at least 1 and divide dim = 24"),
    (dict(heads=0), "heads is 0"),
    (dict(l=9), "l is 9, must be in 1..8"),
    (dict(directions="best"), "directions is 'best', must be one of"),
    (dict(mode="fast"), "mode is 'fast', must be one of"),
    (dict(dropout=1.0), r"dropout is 1.0, must be in \[0, 1\)"),
])
def test_illegal_layers_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        CTAHeads(24, **{"heads": 3, **given})


def test_illegal_tokens_are_refused():
    layer, x = make(), tokens(1, 2, 9)
    valid = torch.ones(2, 9, dtype=torch.bool)
    valid[1] = False
    for mode in ("cta", "exact"):
        layer.mode = mode
        with pytest.raises(ValueError, match="sequence 1 has no valid token"):
            layer(x, valid_q=valid)
    with pytest.raises(ValueError, match=r"xkv is \(3, 9, 24\), must be \(2, tokens, 24\)"):
        layer(x, tokens(1, 3, 9))
    with pytest.raises(ValueError, match=r"xq is \(2, 9, 12\)"):
        layer(x[..., :12])
    with pytest.raises(ValueError, match="sequences of 0 tokens, must be at least 1"):
        layer(x, x[:, :0])
    with pytest.raises(ValueError, match="0 sequences of 9 tokens"):
        layer(x[:0])
