"""Bucket widths meet the compression that was asked for, by an independent count of clusters."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the sw extra")

from model.cta import reference  # noqa: E402
from model.cta.cost import attention_ratio, linear_ratio  # noqa: E402
from sw.nn import widths  # noqa: E402
from sw.nn.cta_heads import CTAHeads  # noqa: E402


def tokens(seed, batch, n, dim=32):
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(n // 3, dim))
    return torch.from_numpy(topics[rng.integers(len(topics), size=(batch, n))]
                            + 0.3 * rng.normal(size=(batch, n, dim)))


def counted(layer, xq, xkv, valid, valid_kv):
    """Mean RL, RA and fractions, counted by the numpy reference, sequence by sequence."""
    rows, w = [], layer.w.numpy()
    for s in range(len(xq)):
        q, kv = xq[s][valid[s]].numpy(), xkv[s][valid_kv[s]].numpy()
        ct = reference.clusters(q, kv, layer.a.detach().numpy(),
                                layer.offset.numpy() * w[:, None], w)
        k0, k1, k2 = (int(c.max()) + 1 for c in ct)
        m, n = len(q), len(kv)
        rows.append([linear_ratio(m, n, k0, k1 + k2), attention_ratio(m, n, k0, k1 + k2),
                     k0 / m, k1 / n, k2 / n])
    return np.mean(rows, axis=0)


@pytest.mark.parametrize("rl", [0.95, 0.58, 0.3, 0.1])
def test_rl_is_reached(rl):
    layer, x = CTAHeads(32, 2, seed=3).double(), tokens(0, 6, 90)
    reached = widths.calibrate(layer, x, rl=rl)
    ok = torch.ones(6, 90, dtype=torch.bool)
    mine = (reached.rl, reached.ra, *reached.fractions)
    np.testing.assert_allclose(mine, counted(layer, x, x, ok, ok), rtol=0, atol=1e-12)
    assert reached.rl == pytest.approx(rl, abs=0.012)
    np.testing.assert_allclose(reached.fractions, (rl, 0.9 * rl, 0.1 * rl), rtol=0, atol=0.012)
    assert layer.w.tolist() == list(reached.w)
    layer(x)
    assert layer.ratios() == pytest.approx((reached.rl, reached.ra), abs=1e-12)


def test_cross_attention_with_padding_and_targets_of_every_kind():
    layer, x, y = CTAHeads(32, 2, shared=False).double(), tokens(0, 5, 60), tokens(1, 5, 90)
    rng = np.random.default_rng(0)
    valid, valid_kv = (torch.from_numpy(rng.random((5, n)) < 0.7) for n in (60, 90))
    for target in (dict(rl=0.5), dict(ra=0.3), dict(rl=0.58, ra=0.34), dict(counts=(0.3, 0.6, 0.1))):
        r = widths.calibrate(layer, x, y, valid=valid, valid_kv=valid_kv, **target)
        mine = (r.rl, r.ra, *r.fractions)
        np.testing.assert_allclose(mine, counted(layer, x, y, valid, valid_kv), rtol=0, atol=1e-12)
        if "rl" in target:
            assert r.rl == pytest.approx(target["rl"], abs=0.015)
        if "ra" in target:
            assert r.ra == pytest.approx(target["ra"], abs=0.015)
        if "counts" in target:
            np.testing.assert_allclose(r.fractions, target["counts"], rtol=0, atol=0.012)


def test_fractions_solve_for_both_ratios():
    for m, n in ((512, 512), (100, 300), (30, 10)):
        for f0, f in ((0.6, 0.5), (0.628, 0.56), (0.2, 0.3)):
            if 2 * n * f < m * f0:
                continue        # the other solution of the two, which is not taken
            rl, ra = (f0 * m + 2 * f * n) / (m + 2 * n), f0 * f
            assert widths.fractions(m, n, rl, ra) == pytest.approx((f0, 0.9 * f, 0.1 * f))
    assert widths.fractions(9, 9, ra=0.25) == pytest.approx((0.5, 0.45, 0.05))
    # The paper's operating point CTA-0.
    assert widths.fractions(512, 512, 0.5827, 0.3517)[0] == pytest.approx(0.628, abs=0.002)


def test_levels_have_widths_of_their_own_and_only_w_changes():
    layer, x = CTAHeads(32, 2).double(), tokens(0, 4, 60)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    widths.calibrate(layer, x, rl=0.5)
    assert len(set(layer.w.tolist())) == 3
    changed = [n for n, v in layer.state_dict().items() if not torch.equal(v, before[n])]
    assert changed == ["w"] and not layer.w.requires_grad


def test_less_than_one_cluster_is_one_and_equal_tokens_get_a_moderate_width():
    layer = CTAHeads(32, 2).double()
    layer.offset.fill_(0.5)        # the middle of a bucket, which then takes everything
    x = tokens(0, 3, 40)
    assert widths.calibrate(layer, x, rl=0.01).fractions == pytest.approx((1 / 40,) * 3)
    x = x[:, :1].expand(3, 40, 32)
    reached = widths.calibrate(layer, x, rl=0.01)
    assert reached.fractions == pytest.approx((1 / 40,) * 3)
    assert reached.w[2] > 1e-6 * reached.w[1]      # rounding errors are no residuals
    assert widths.calibrate(layer, x[:, :1], rl=1.0).rl == pytest.approx(5 / 3)


@pytest.mark.parametrize("target, message", [
    ({}, "no target: give rl, ra or counts"),
    (dict(rl=0.0), r"rl is 0.0, must be in \(0, 1\]"),
    (dict(rl=1.2), r"rl is 1.2, must be in \(0, 1\]"),
    (dict(ra=-1), r"ra is -1, must be in \(0, 1\]"),
    (dict(rl=0.5, ra=0.9), "rl is 0.5 and ra is 0.9: no fractions"),
    (dict(rl=0.9, ra=0.05), "rl is 0.9 and ra is 0.05: no fractions"),
    (dict(rl=0.5, counts=(0.5, 0.5, 0.1)), "counts is given as well"),
    (dict(counts=(0.5, 0.5)), "counts is .* must be three fractions"),
    (dict(counts=(0.5, 0.5, 0)), "counts is .* must be three fractions"),
])
def test_impossible_targets_are_refused(target, message):
    layer = CTAHeads(32, 2).double()
    before = layer.w.clone()
    with pytest.raises(ValueError, match=message):
        widths.calibrate(layer, tokens(0, 2, 60), **target)
    assert torch.equal(layer.w, before)


def test_a_sample_that_has_not_that_many_clusters_is_refused():
    layer = CTAHeads(32, 2).double()
    before, x = layer.w.clone(), tokens(0, 2, 60)
    with pytest.raises(ValueError, match="level 0: clusters of 0.580 of the tokens are asked for, "
                                         "the nearest this sample gives is 0.017"):
        widths.calibrate(layer, x[:, :1].expand(2, 60, 32), rl=0.58)
    with pytest.raises(ValueError, match="level 2: clusters of 0.900"):
        widths.calibrate(layer, x, counts=(0.5, 1.0, 0.9))     # tokens alone leave no residual
    with pytest.raises(ValueError, match="infinities or NaNs"):
        widths.calibrate(layer, x / 0, rl=0.58)
    with pytest.raises(ValueError, match="sequence 0 has no valid token"):
        widths.calibrate(layer, x, rl=0.5, valid=torch.zeros(2, 60, dtype=torch.bool))
    assert torch.equal(layer.w, before)
