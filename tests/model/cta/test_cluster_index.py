"""Cluster table: first-seen numbers, and the tree of memories where capacity runs out."""

import numpy as np
import pytest

from model.cta.cluster_index import cluster_table, digits
from model.cta.config import CTAConfig
from tests.model.cta import oracle


def small(l, digit):  # noqa: E741
    return CTAConfig(b=2, d=8, l=l, n=64, digit=digit)


def first_seen(codes):
    """Clusters by comparison of whole codes: what the tree gives while nothing overflows."""
    seen = {}
    return [seen.setdefault(tuple(code), len(seen)) for code in codes.tolist()]


def garbage(seed):
    """What slots may hold from an earlier clustering: anything."""
    rng = np.random.default_rng(seed)
    return lambda node, slot: (bool(rng.integers(2)), 0)


def some_codes(cfg, rng, n):
    """Codes with runs, with shared prefixes, and with codes that differ late or early."""
    pool = rng.integers(-128, 128, (max(1, n // 3), cfg.l))
    pool[:, :rng.integers(0, cfg.l + 1)] >>= int(rng.integers(0, 9))
    codes = pool[rng.integers(len(pool), size=n)]
    codes[:, -1] ^= rng.integers(0, 2, n)
    return codes


@pytest.mark.parametrize("digit, spelling", [
    (4, [0b1000, 0b0000, 0b1111, 0b1111, 0b0111, 0b1110]),
    (2, [0b10, 0, 0, 0, 0b11, 0b11, 0b11, 0b11, 0b01, 0b11, 0b11, 0b10]),
    (1, [1, 0, 0, 0, 0, 0, 0, 0] + [1] * 8 + [0, 1, 1, 1, 1, 1, 1, 0]),
])
def test_digits(digit, spelling):
    assert digits(small(3, digit), np.array([[-128, -1, 126]])).tolist() == [spelling]


@pytest.mark.parametrize("l", [1, 3, 8])
@pytest.mark.parametrize("digit", [1, 2, 4])
def test_against_the_tree_of_memories(l, digit):  # noqa: E741
    cfg = small(l, digit)
    overflows = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        codes = some_codes(cfg, rng, int(rng.integers(1, 65)))
        capacity = int(rng.integers(1, 30))
        ct, k, overflow = cluster_table(cfg, codes, capacity)
        want = oracle.cluster_table(cfg, codes.tolist(), capacity, garbage(seed))
        assert (ct.tolist(), k, overflow) == want, f"seed {seed}"
        assert ct.max() < k <= capacity, f"seed {seed}"
        overflows += overflow > 0
    assert overflows > 5


@pytest.mark.parametrize("digit", [1, 2, 4])
def test_first_seen_while_codes_fit(digit):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        cfg = small(int(rng.integers(1, 9)), digit)
        codes = some_codes(cfg, rng, int(rng.integers(1, 65)))
        want = first_seen(codes)
        ct, k, overflow = cluster_table(cfg, codes, max(want) + 1)
        assert (ct.tolist(), k, overflow) == (want, max(want) + 1, 0), f"seed {seed}"


@pytest.mark.parametrize("n", [1, 2, 33])
def test_one_cluster(n):
    ct, k, overflow = cluster_table(small(3, 2), np.full((n, 3), -7), 1)
    assert (ct.tolist(), k, overflow) == ([0] * n, 1, 0)


def test_each_token_its_own():
    codes = np.arange(64)[:, None]
    ct, k, overflow = cluster_table(small(1, 2), codes, 64)
    assert (ct.tolist(), k, overflow) == (list(range(64)), 64, 0)


def test_newcomers_join_the_last_cluster_and_count_once():
    cfg = small(1, 4)
    codes = np.array([0, 1, 2, 3, 2, 3, 0])[:, None]
    ct, k, overflow = cluster_table(cfg, codes, 2)
    # 2 and 3 are aliases of cluster 1 once made; their later tokens are ordinary members.
    assert (ct.tolist(), k, overflow) == ([0, 1, 1, 1, 1, 1, 0], 2, 2)


def test_an_inner_layer_overflows_once_a_token():
    cfg = small(2, 4)
    codes = np.array([[0x00, 0], [0x10, 0], [0x20, 5], [0x21, 5], [0x20, 5]])
    ct, k, overflow = cluster_table(cfg, codes, 2)
    # 0x20 is an alias in the first layer and again in the last; it follows 0x10 between them.
    assert (ct.tolist(), k, overflow) == ([0, 1, 1, 1, 1], 2, 2)


def test_capacity_of_the_tree_may_stay_unused():
    # All codes meet in one node of the first layer: the leaves never fill, nobody is lost.
    cfg = small(1, 4)
    ct, k, overflow = cluster_table(cfg, np.array([[0x00], [0x11], [0x21], [0x31]]), 2)
    assert (ct.tolist(), k, overflow) == ([0, 1, 1, 1], 2, 2)
