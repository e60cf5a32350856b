"""The layer against its heads, one by one: every output and every count."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.cta import head, layer
from model.cta.config import CTAConfig
from model.cta.job import ErrorCode, Mode
from model.cta.stimulus import layer_of, random_job
from model.errors import JobRefused

CONFIGS = [CTAConfig(b=2, d=8, n=24, tokens=48),
           CTAConfig(b=4, d=8, dw=24, l=8, n=24, tokens=48, digit=4),
           CTAConfig(b=2, d=8, n=24, tokens=48, k0=5, k1=7, k2=3, exact=7)]


def made(cfg, seed, count, n, m, mode=Mode.CTA):
    """Weights of ``count`` heads with the hash functions of the first, and their job."""
    rng = np.random.default_rng(seed)
    return layer_of([random_job(cfg, rng, n, m=m, mode=mode, saturating=seed % 2 == 1)
                     for _ in range(count)])


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(CONFIGS), st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 24),
       st.one_of(st.none(), st.integers(1, 24)), st.sampled_from(Mode))
def test_a_layer_equals_its_heads(cfg, seed, count, n, m, mode):
    if mode is Mode.EXACT:
        n, m = min(n, cfg.exact), None if m is None else min(m, cfg.exact)
    weights, job = made(cfg, seed, count, n, m, mode)
    got = layer.run(cfg, weights, job)
    due = [head.run(cfg, own, job.head(number), reuse=number > 0)
           for number, own in enumerate(weights)]
    for mine, one in zip(got.heads, due, strict=True):
        for name, value in vars(one).items():
            assert np.array_equal(getattr(mine, name), value), name
    assert np.array_equal(got.o, np.concatenate([one.o for one in due], axis=1))
    assert got.rows.shape == (due[0].k0, count * cfg.d)


def test_heads_that_hash_differently_are_refused():
    weights, job = made(CONFIGS[0], 1, 3, 5, None)
    _, key, residual = weights[2].lsh
    weights[2] = replace(weights[2], lsh=(replace(key, post=(key.post + 1) % 32), key, residual))
    with pytest.raises(ValueError, match="hash functions of head 2 are not those of head 0"):
        layer.run(CONFIGS[0], weights, job)


def test_as_many_weight_sets_as_shifts():
    weights, job = made(CONFIGS[0], 1, 3, 5, None)
    with pytest.raises(ValueError, match="weights has 2 heads and shifts 3"):
        layer.run(CONFIGS[0], weights[:2], job)
    with pytest.raises(ValueError, match="weights has 0 heads and shifts 0"):
        layer.run(CONFIGS[0], [], replace(job, shifts=()))


def test_every_head_is_checked():
    weights, job = made(CONFIGS[0], 1, 3, 5, None)
    weights[1] = replace(weights[1], bq=weights[1].bq + CONFIGS[0].fmt.bias.max)
    with pytest.raises(ValueError, match="bq"):
        layer.run(CONFIGS[0], weights, job)


def test_a_layer_is_refused_as_a_head():
    weights, job = made(CONFIGS[0], 1, 2, 5, None)
    with pytest.raises(JobRefused, match="n is 25") as refused:
        layer.run(CONFIGS[0], weights, replace(job, xkv=np.zeros((25, 8), np.int64)))
    assert refused.value.code is ErrorCode.TOKENS


def test_the_tokens_are_clustered_once(monkeypatch):
    calls = []
    cluster = layer.cluster
    monkeypatch.setattr(layer, "cluster", lambda *args: calls.append(1) or cluster(*args))
    weights, job = made(CONFIGS[0], 1, 4, 9, None)
    layer.run(CONFIGS[0], weights, job)
    assert calls == [1]
