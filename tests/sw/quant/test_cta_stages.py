"""The torch twin of the CTA pipeline against the golden model, tensor by tensor; gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.cta import cluster_index, head
from model.cta.config import CTAConfig, CTAFormats
from model.cta.job import Mode, Saturation
from model.cta.stimulus import PATTERNS, patterned_job, random_job
from model.errors import ConfigError
from model.fixed import Format
from sw.quant import cta_stages

SHIFTS = ("shift_q", "shift_k", "shift_v", "shift_s", "shift_o")
SHARED = {"codes0", "codes1", "codes2", "residual", "ct0", "ct1", "ct2", "k0", "k1", "k2",
          "c0", "c1", "c2", "overflow"}


def real(array):
    return torch.from_numpy(np.asarray(array, dtype=np.float64))


def stacked(heads):
    """(weights, job) of several heads with the same tokens and hash, as RawHeads."""
    weights, jobs = zip(*heads)
    return cta_stages.RawHeads(
        *(torch.stack([real(getattr(w, name)) for w in weights]) for name in ("wq", "wk", "wv")),
        *(torch.stack([real(getattr(w, name))[None] for w in weights]) for name in ("bq", "bv")),
        weights[0].lsh,
        *(torch.tensor([getattr(job, name) for job in jobs])[:, None, None] for name in SHIFTS))


def same_tokens(heads):
    """All heads get tokens and hash of the first."""
    weights, job = heads[0]
    return [(replace(w, lsh=weights.lsh), replace(j, xkv=job.xkv, xq=job.xq)) for w, j in heads]


def compare(cfg, heads):
    heads = same_tokens(heads)
    job = heads[0][1]
    got = cta_stages.trace(cfg, stacked(heads), real(job.xkv),
                           None if job.xq is None else real(job.xq), job.mode)
    for h, (weights, job) in enumerate(heads):
        want = head.trace(cfg, weights, job)
        assert set(got) == set(want)
        for name, value in want.items():
            mine = got[name]
            if name == "saturations":
                assert {kind: int(mine[kind][h]) for kind in Saturation} == value
            elif value is None or isinstance(value, (int, tuple)):
                mine = int(mine[h]) if name == "zero_rows" else mine
                assert mine == value, name
            else:
                mine = (mine if name in SHARED else mine[h]).numpy()
                assert mine.shape == value.shape and np.array_equal(mine, value), name
    return got


NARROW = CTAFormats(token=Format(True, 9, 4), centroid=Format(True, 7, 2),
                    weight=Format(True, 6, 5), qkv=Format(True, 8, 4), score=Format(True, 10, 3),
                    prob=Format(False, 14, 6), ap=Format(False, 7), output=Format(True, 8, 4),
                    hash=Format(True, 4), multiplier=Format(False, 9))
CONFIGS = {
    "default": CTAConfig(n=64, tokens=128, l=6, d=16),
    "slices": CTAConfig(n=48, tokens=96, l=3, d=8, dw=32),
    "overflow": CTAConfig(n=64, tokens=128, l=2, d=8, k0=5, k1=7, k2=3),
    "overflow of one": CTAConfig(n=40, tokens=80, exact=1, l=2, d=8, k0=1, k1=1, k2=1, digit=1),
    "digit 4": CTAConfig(n=64, tokens=128, l=8, d=8, k0=9, k1=30, k2=8, digit=4),
    "narrow": CTAConfig(n=64, tokens=128, l=4, d=8, dw=16, fmt=NARROW),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("saturating", [False, True])
def test_every_tensor_is_golden(name, saturating):
    cfg, rng = CONFIGS[name], np.random.default_rng(len(name))
    for n, m in ((cfg.n, None), (cfg.n - 3, None), (17, 30), (2, 1), (1, None)):
        compare(cfg, [random_job(cfg, rng, n, m, saturating=saturating) for _ in range(3)])


@pytest.mark.parametrize("name", ["default", "slices", "narrow"])
@pytest.mark.parametrize("saturating", [False, True])
def test_exact_mode(name, saturating):
    cfg, rng = CONFIGS[name], np.random.default_rng(len(name))
    for n, m in ((cfg.n, None), (17, 30), (1, 2)):
        compare(cfg, [random_job(cfg, rng, n, m, Mode.EXACT, saturating=saturating)
                      for _ in range(2)])


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("mode", Mode)
def test_patterns(pattern, mode):
    cfg = CONFIGS["default"]
    compare(cfg, [patterned_job(cfg, np.random.default_rng(2), pattern, 40, mode=mode)])
    compare(cfg, [patterned_job(cfg, np.random.default_rng(3), pattern, 21, 9, mode=mode)])


def test_something_was_at_stake():
    """The jobs above do saturate everywhere, overflow, and leave rows without weight."""
    seen, overflow, zero = dict.fromkeys(Saturation, 0), 0, 0
    for name in CONFIGS:
        cfg, rng = CONFIGS[name], np.random.default_rng(len(name))
        for _ in range(6):
            got = compare(cfg, [random_job(cfg, rng, cfg.n, saturating=True)])
            seen = {kind: seen[kind] + int(got["saturations"][kind]) for kind in Saturation}
            overflow, zero = overflow + sum(got["overflow"]), zero + int(got["zero_rows"])
    assert all(seen.values()) and overflow, seen


def test_rows_without_weight():
    cfg = CONFIGS["default"]
    ap, v = torch.zeros(2, 3, 4).double(), torch.ones(2, 4, 16).double()
    ap[1] = 5
    o, _, zero = cta_stages.outputs(cfg, ap, v, torch.zeros(2, 1, 1, dtype=torch.int64))
    assert zero.tolist() == [3, 0] and not o[0].any() and o[1].all()


@pytest.mark.parametrize("capacity", [1, 2, 5, 20, 64])
@pytest.mark.parametrize("digit", [1, 2, 4])
def test_cluster_table(capacity, digit):
    cfg, rng = CTAConfig(n=64, l=3, d=8, digit=digit), np.random.default_rng(capacity)
    for spread in (1, 3, 128):
        codes = rng.integers(-spread, spread, (64, 3))
        codes[40:50] = codes[:10]
        ct, k, overflow = cta_stages.cluster_table(cfg, torch.from_numpy(codes), capacity)
        want = cluster_index.cluster_table(cfg, codes, capacity)
        assert np.array_equal(ct.numpy(), want[0]) and (k, overflow) == want[1:]


def test_formats_beyond_float64_are_refused():
    cta_stages.check_exact(CTAConfig())
    cta_stages.check_exact(CTAConfig(n=2048, d=128, dw=2048))
    wide = replace(CTAFormats(), bias=Format(True, 55, 16))
    with pytest.raises(ConfigError, match="acc.width is 5., must be at most 53"):
        cta_stages.check_exact(CTAConfig(fmt=wide))


# -- gradients: those of the real functions that the integers stand for ---------------------------

def test_gradient_of_the_exponential():
    cfg = CTAConfig()
    e = torch.linspace(-500, 500, 41).round().double().requires_grad_()
    value, moved = cta_stages.exp2(cfg, e)
    value.sum().backward()
    at = e.detach().clone().requires_grad_()
    torch.ldexp(torch.exp2(at / 64), torch.tensor(cfg.fmt.prob.frac)).sum().backward()
    large = value > 200
    assert torch.allclose(e.grad[large], at.grad[large], rtol=0.01) and large.sum() > 15
    far = torch.tensor([900.0, 2000.0]).double().requires_grad_()
    value, moved = cta_stages.exp2(cfg, far)
    value.sum().backward()
    assert moved.all() and not far.grad.any()


def attention(q, k, v):
    """Real attention with level 2 added to each token, in log2 units: what the stages stand for."""
    s = q @ k[0].T + q @ k[1].T
    return torch.softmax(s * np.log(2), dim=1) @ (v[0] + v[1])


def test_gradient_from_output_to_queries_keys_and_values():
    """Against double precision, in an engine wide enough that rounding hardly shows."""
    wide = {"qkv": Format(True, 16, 10), "score": Format(True, 24, 10),
            "ap": Format(False, 15), "output": Format(True, 16, 10)}
    cfg = CTAConfig(d=8, n=8, fmt=replace(CTAFormats(), **wide))
    rng, point = np.random.default_rng(5), 10
    ct1, ct2 = torch.tensor([0, 1, 2, 1, 0]), torch.tensor([0, 0, 1, 2, 1])
    shape = ((4, 8), (3, 8), (3, 8), (3, 8), (3, 8))
    values = [torch.from_numpy(np.round(rng.normal(0, 0.5, s) * 2**point) / 2**point)
              for s in shape]
    weight = torch.from_numpy(rng.normal(size=(4, 8)))

    def fixed(q, k1, k2, v1, v2):
        zero = torch.zeros(1, 1, 1, dtype=torch.int64)
        k, v = (torch.cat(pair)[None] * 2.0**point for pair in ((k1, k2), (v1, v2)))
        s, _ = cta_stages.scores(cfg, q[None] * 2.0**point, k, 3, zero + 2 * point - 10)
        banks, _ = cta_stages.aggregate(cfg, s, ct1, ct2, 3)
        o, _, _ = cta_stages.outputs(cfg, cta_stages.normalise(cfg, banks), v, zero)
        return o[0] / 2.0**point

    def real_one(q, k1, k2, v1, v2):
        return attention(q, (k1[ct1], k2[ct2]), (v1[ct1], v2[ct2]))

    gradients = []
    for function in (fixed, real_one):
        leaves = [value.clone().requires_grad_() for value in values]
        o = function(*leaves)
        (o * weight).sum().backward()
        gradients.append((o.detach(), [leaf.grad for leaf in leaves]))
    (o, got), (want_o, want) = gradients
    assert (o - want_o).abs().max() < 0.01
    for mine, theirs in zip(got, want):
        assert torch.linalg.norm(mine - theirs) / torch.linalg.norm(theirs) < 0.01


def test_gradient_of_centroids_and_residuals():
    cfg = CTAConfig(d=8, n=16)
    x = torch.arange(40).reshape(5, 8).double().requires_grad_()
    ct = torch.tensor([0, 1, 0, 0, 1])
    c, _ = cta_stages.centroids(cfg, x, ct, 2)
    c[0].sum().backward()
    unit = 2.0**-cfg.residual_shift
    assert torch.allclose(x.grad[ct == 0], torch.full((3, 8), unit / 3).double(), rtol=1e-3)
    assert not x.grad[ct == 1].any()
    x.grad = None
    r, _ = cta_stages.residuals(cfg, x, cta_stages.centroids(cfg, x, ct, 2)[0], ct)
    r[1].sum().backward()
    assert torch.allclose(x.grad[1], torch.full((8,), 0.5).double(), atol=1e-3)
