"""FakeCTA on a CTAHeads: the integers of the golden model, head by head, and useful gradients."""

import numpy as np
import pytest
import torch

from model.cta import head
from model.cta.config import CTAConfig
from model.cta.job import Mode, Saturation
from model.cta.quantise import QuantiseError
from model.errors import ConfigError
from sw.nn.cta_heads import CTAHeads
from sw.quant.cta import FakeCTA, engine, operands
from sw.quant.observe import HeadsRecorder, Rule

DIM, HEADS, N = 32, 4, 24


def tokens(batch=2, n=N, seed=0):
    """Tokens around a few prototypes, so that there is something to cluster."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(9, DIM))[rng.integers(9, size=(batch, n))]
    return torch.from_numpy(x + 0.2 * rng.normal(size=x.shape)).float()


def lengths(*counts, n=N):
    return torch.arange(n) < torch.tensor(counts)[:, None]


def layer(mode="cta", seed=1, **options):
    torch.manual_seed(seed)
    heads = CTAHeads(DIM, HEADS, l=4, mode=mode, seed=seed, **options)
    with torch.no_grad():
        for linear in (heads.q, heads.k):
            linear.weight *= 3
        heads.w.copy_(torch.tensor([5.0, 4.0, 1.5]))
    return heads


def calibrated(heads, *args, rule=Rule(), **options):
    recorder = heads.fake = HeadsRecorder(heads, rule)
    heads(*args)
    sizes = {"n": max(recorder.longest, 2), **options}
    cfg = engine(heads, **{"tokens": max(recorder.tokens, sizes["n"]), **sizes})
    heads.fake = FakeCTA(cfg, recorder.points(heads, cfg))
    return heads.fake


CASES = {
    "self": (tokens(),),
    "padded": (tokens(), None, lengths(N, 7)),
    "cross": (tokens(n=11), tokens(seed=5)),
    "cross, padded": (tokens(n=11), tokens(seed=5), lengths(3, 11, n=11), lengths(9, 1)),
    "one token": (tokens(n=1),),
    "equal tokens": (tokens(n=1).repeat(1, 8, 1),),
}


def golden(fake, heads, xq, xkv=None, valid_q=None, valid_kv=None):
    """The batch by the golden model alone, one job a sequence and head."""
    export = fake.layer(heads)
    valid_kv = valid_q if xkv is None and valid_kv is None else valid_kv
    y, counts = np.zeros(xq.shape), []
    events = dict.fromkeys(Saturation, 0)
    for row in range(len(xq)):
        keep = slice(None) if valid_q is None else valid_q[row].numpy()
        q = export.tokens(xq[row].numpy()[keep])
        kv = None
        if xkv is not None:
            kv = export.tokens(xkv[row].numpy()[slice(None) if valid_kv is None
                                                else valid_kv[row].numpy()])
        for h in range(HEADS):
            job = export.job(h, q) if kv is None else export.job(h, kv, q)
            result = head.run(export.cfg, export.heads[h], job)
            part = np.zeros((xq.shape[1], DIM // HEADS))
            part[keep] = export.output(h, result.o)
            y[row, :, h * DIM // HEADS:(h + 1) * DIM // HEADS] = part
            events = {kind: events[kind] + result.saturations[kind] for kind in events}
        counts.append([result.k0, result.k1, result.k2])
    return y, counts, events


@pytest.mark.parametrize("mode", ["cta", "exact"])
@pytest.mark.parametrize("case", CASES)
def test_bit_equal_to_the_golden_model(mode, case):
    heads, args = layer(mode), CASES[case]
    fake = calibrated(heads, *args)
    got = heads(*args)
    want, counts, events = golden(fake, heads, *args)
    assert got.dtype == torch.float32 and np.array_equal(got.detach().numpy(), want)
    assert heads.counts.tolist() == counts
    assert {kind: int(moved.sum()) for kind, moved in fake.saturations.items()} == events
    heads.fake = None
    assert torch.linalg.norm(heads(*args) - got) / torch.linalg.norm(got) < 0.15
    assert fake.layer(heads).mode == (Mode.CTA if mode == "cta" else Mode.EXACT)


@pytest.mark.parametrize("rule", [Rule("percentile", 99.0), Rule("mse")])
@pytest.mark.parametrize("options", [{}, {"k0": 5, "k1": 6, "k2": 2}, {"n": 77, "b": 4}])
def test_rules_and_engines(rule, options):
    heads, x = layer(), tokens()
    fake = calibrated(heads, x, rule=rule, **options)
    want, _, events = golden(fake, heads, x)
    assert np.array_equal(heads(x).detach().numpy(), want)
    assert bool(sum(fake.overflow)) == ("k0" in options)


def test_weights_are_quantised_as_they_are_now():
    """Points stay, weights follow: far beyond their format they saturate, still golden."""
    heads, x = layer(directions="learned"), tokens()
    fake = calibrated(heads, x)
    with torch.no_grad():
        heads.v.weight[3, 4] = 50.0
        heads.a[1, 2, 3] = -400.0
        heads.w *= 1.1
    want, _, _ = golden(fake, heads, x)
    assert np.array_equal(heads(x).detach().numpy(), want)


def test_exact_mode_needs_no_hash():
    heads, x = layer("exact"), tokens()
    heads.w.fill_(1e-30)                     # no engine could represent it
    fake = calibrated(heads, x)
    want, _, _ = golden(fake, heads, x)
    assert np.array_equal(heads(x).detach().numpy(), want)
    heads.mode = "cta"
    with pytest.raises(QuantiseError, match="w = 1e-30 cannot be represented"):
        heads(x)


def test_no_bias_and_single_head():
    torch.manual_seed(0)
    heads, x = CTAHeads(DIM, 1, bias=False, l=6), tokens()
    fake = calibrated(heads, x)
    export = fake.layer(heads)
    want = export.output(0, head.run(export.cfg, export.heads[0],
                                     export.job(0, export.tokens(x[1].numpy()))).o)
    assert np.array_equal(heads(x)[1].detach().numpy(), want)


def test_gradients_reach_weights_and_tokens():
    """Nearly those of the float layer on the same clusters."""
    heads, x, got = layer(), tokens(n=40), {}
    fake = calibrated(heads, x)
    for name, hook in (("fake", fake), ("float", None)):
        heads.fake = hook
        heads.zero_grad()
        at = x.clone().requires_grad_()
        (heads(at) ** 2).sum().backward()
        got[name] = {**{key: p.grad for key, p in heads.named_parameters() if p.grad is not None},
                     "x": at.grad}
    assert set(got["fake"]) == set(got["float"]) == \
        {f"{n}.{k}" for n in "qkv" for k in ("weight", "bias")} | {"x"}
    for name in ("q.weight", "k.weight", "v.weight", "v.bias", "q.bias", "x"):
        a, b = (got[kind][name].flatten() for kind in ("fake", "float"))
        assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.97, name
    assert not got["fake"]["k.bias"].any()


def test_operands_are_the_layer():
    heads = layer()
    real = operands(heads, 2)
    d = DIM // HEADS
    x = tokens(1, 5).double().numpy()[0]
    assert np.allclose(x @ real.wk, (heads.k(torch.tensor(x).float()) - heads.k.bias)
                       .detach().numpy()[:, 2 * d:3 * d], atol=1e-5)
    assert np.allclose(real.b, heads.offset * heads.w[:, None])


def test_what_the_engine_cannot_take_is_refused():
    heads, x = layer(), tokens()
    calibrated(heads, x, n=24)
    with pytest.raises(ValueError, match="25 tokens, must be at most n = 24"):
        heads(tokens(n=25))
    exact = layer("exact")
    calibrated(exact, x, exact=20)
    with pytest.raises(ValueError, match="24 queries and 24 keys, must be at most exact = 20 each"):
        exact(x)
    calibrated(heads, x, n=24)
    with pytest.raises(ValueError, match=r"m \+ n is 11 \+ 24 tokens, must be at most tokens = 24"):
        heads(tokens(n=11), x)
    with pytest.raises(ConfigError, match="d is 12, must be one of"):
        engine(CTAHeads(36, 3))
    with pytest.raises(ConfigError, match="d is 16, must be 8 as in the layer"):
        engine(heads, d=16)
    with pytest.raises(ValueError, match="the layer has dim, heads, l = 32, 2, 4"):
        other = CTAHeads(DIM, 2, l=4)
        other.fake = FakeCTA(CTAConfig(d=8, dw=32, l=4, n=24), heads.fake.points)
        other(x)
    mixed = list(heads.fake.points)
    mixed[1] = type(mixed[1])(**{**vars(mixed[1]), "token": 3})
    with pytest.raises(ValueError, match="must be common to all heads"):
        FakeCTA(heads.fake.cfg, tuple(mixed))
