"""The float reference against plain loops."""

import math

import numpy as np

from model.cta import reference


def tiny(seed=0, n=9, m=None, d=8, dw=0):
    real = reference.synthetic(n, d, dw, seed)
    if m is None:
        return real
    other = reference.synthetic(m, d, dw, seed + 1000)
    return reference.Operands(other.xq, *(getattr(real, name) for name in
                                          ("xkv", "wq", "wk", "wv", "bq", "bv", "a", "b", "w")))


def test_exact_attention_by_loops():
    r = tiny(m=4)
    o = reference.attention_exact(*r.attention)
    for i in range(4):
        q = r.xq[i] @ r.wq + r.bq
        p = [math.exp(q @ (x @ r.wk) / math.sqrt(8)) for x in r.xkv]
        want = sum(w * (x @ r.wv + r.bv) for w, x in zip(p, r.xkv)) / sum(p)
        assert np.allclose(o[i], want)


def test_cta_by_the_loop_of_the_paper():
    r = tiny(m=5)
    ct0, ct1, ct2 = np.array([0, 1, 0, 2, 1]), np.arange(9) % 4, np.arange(9) // 5
    o = reference.attention_cta(*r.attention, ct0, ct1, ct2)

    def means(x, ct):
        return np.stack([x[ct == c].mean(axis=0) for c in range(ct.max() + 1)])

    c0, c1 = means(r.xq, ct0), means(r.xkv, ct1)
    c2 = means(r.xkv - c1[ct1], ct2)
    c12 = np.concatenate([c1, c2])
    k, v = c12 @ r.wk, c12 @ r.wv
    v[:4] += r.bv
    for t in range(5):
        s = (c0[ct0[t]] @ r.wq + r.bq) @ k.T / math.sqrt(8)
        s[4:] -= s[:4].max()
        ap = np.zeros(6)
        for j in range(9):
            p = math.exp(s[ct1[j]] + s[4 + ct2[j]])
            ap[ct1[j]] += p
            ap[4 + ct2[j]] += p
        assert np.allclose(o[t], 2 * ap @ v / ap.sum())


def test_cta_with_every_token_its_own_cluster_is_exact():
    r = tiny(m=4)
    one_each = np.arange(4), np.arange(9), np.zeros(9, np.int64)
    assert np.allclose(reference.attention_cta(*r.attention, *one_each),
                       reference.attention_exact(*r.attention))


def test_clusters_are_first_seen():
    r = tiny(n=40)
    for ct in reference.clusters(r.xq, r.xkv, r.a, r.b, r.w):
        seen = np.maximum.accumulate(ct)
        assert ct[0] == 0 and (np.diff(seen) <= 1).all()
