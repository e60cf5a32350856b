"""Hash codes, cluster numbers and centroids against loops over tokens."""

import math

import numpy as np
import pytest
import torch

from sw.nn import clustering


def looped_clusters(codes, valid):
    """Numbers in order of first sight, by a dictionary; padding gets k."""
    ct, seen = [], {}
    for code, ok in zip(codes.tolist(), valid.tolist()):
        ct.append(seen.setdefault(tuple(code), len(seen)) if ok else None)
    return [len(seen) if c is None else c for c in ct], len(seen)


def random_valid(rng, batch, n):
    valid = torch.from_numpy(rng.random((batch, n)) < 0.6)
    valid[torch.arange(batch), torch.from_numpy(rng.integers(n, size=batch))] = True
    return valid


def test_hash_values_are_the_floor_of_equation_1_saturated():
    rng = np.random.default_rng(0)
    x, a = rng.normal(size=(2, 9, 5)), rng.normal(size=(3, 5))
    x[0, 0] *= 1000
    offset, w = rng.uniform(size=3), 0.07
    codes = clustering.hash_values(*(torch.from_numpy(v) for v in (x, a, offset)), w)
    assert codes.dtype == torch.int64 and not codes.requires_grad
    outside = 0
    for s in range(2):
        for j in range(9):
            for i in range(3):
                real = math.floor((float(x[s, j] @ a[i]) + offset[i] * w) / w)
                assert codes[s, j, i] == min(max(real, -128), 127)
                outside += not -128 <= real <= 127
    assert outside and (codes < 0).any()


@pytest.mark.parametrize("l", range(1, 9))
def test_clusters_are_numbered_in_order_of_first_sight(l):  # noqa: E741
    rng = np.random.default_rng(l)
    for n, values in ((1, 1), (7, 2), (40, 2), (40, 200)):
        codes = torch.from_numpy(rng.integers(-values, values, size=(5, n, l)).clip(-128, 127))
        for valid in (None, random_valid(rng, 5, n)):
            ct, k = clustering.clusters(codes, valid)
            assert ct.dtype == k.dtype == torch.int64
            for s in range(5):
                row = torch.ones(n, dtype=torch.bool) if valid is None else valid[s]
                assert (ct[s].tolist(), int(k[s])) == looped_clusters(codes[s], row)


def test_codes_at_the_ends_of_the_format_stay_apart():
    codes = torch.tensor(np.stack(np.meshgrid(*[[-128, 127]] * 8), -1).reshape(1, 256, 8))
    ct, k = clustering.clusters(torch.cat([codes, codes.flip(1)], dim=1))
    assert k.tolist() == [256]
    assert ct[0, :256].tolist() == list(range(256)) == ct[0, 256:].flip(0).tolist()
    pairs = torch.cartesian_prod(*[torch.arange(-128, 128)] * 2)
    assert clustering.clusters(pairs[None])[1].tolist() == [65536]


def test_a_sequence_does_not_depend_on_its_batch():
    rng = np.random.default_rng(3)
    codes = torch.from_numpy(rng.integers(0, 3, size=(6, 30, 2)))
    ct, k = clustering.clusters(codes)
    for s in range(6):
        alone, k_alone = clustering.clusters(codes[s:s + 1])
        assert torch.equal(alone[0], ct[s]) and k_alone == k[s]


def test_padding_with_the_code_of_a_token_opens_no_cluster_and_joins_none():
    codes = torch.tensor([[[5], [3], [5], [3]]])
    ct, k = clustering.clusters(codes, torch.tensor([[False, True, True, False]]))
    assert ct.tolist() == [[2, 0, 1, 2]] and k.tolist() == [2]


@pytest.mark.parametrize("valid, message", [
    (torch.tensor([[True, True], [False, False]]), "sequence 1 has no valid token"),
    (torch.ones(2, 3, dtype=torch.bool), r"valid is torch.bool \(2, 3\), must be torch.bool"),
    (torch.ones(2, 2), "valid is torch.float32"),
])
def test_bad_masks_are_refused(valid, message):
    with pytest.raises(ValueError, match=message):
        clustering.clusters(torch.zeros(2, 2, 1, dtype=torch.int64), valid)


def test_other_lengths_are_refused():
    with pytest.raises(ValueError, match="l is 9, must be in 1..8"):
        clustering.clusters(torch.zeros(1, 2, 9, dtype=torch.int64))
    with pytest.raises(ValueError, match="sequences of 0 tokens, must be at least 1"):
        clustering.clusters(torch.zeros(1, 0, 2, dtype=torch.int64))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_means_are_those_of_a_loop(padded, weighted):
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.normal(size=(4, 25, 3)))
    valid = random_valid(rng, 4, 25) if padded else None
    weight = torch.from_numpy(rng.uniform(0.1, 1, size=(4, 25))) if weighted else None
    ct, k = clustering.clusters(torch.from_numpy(rng.integers(0, 4, size=(4, 25, 2))), valid)
    if padded:
        x[~valid] = torch.nan
    c = clustering.means(x, ct, int(k.max()) + 2, valid, weight)
    assert c.shape == (4, int(k.max()) + 2, 3)
    for s in range(4):
        for i in range(c.shape[1]):
            rows = [j for j in range(25) if ct[s, j] == i and (not padded or valid[s, j])]
            share = [float(weight[s, j]) if weighted else 1.0 for j in rows]
            expected = np.average(x[s, rows].numpy(), axis=0, weights=share) if rows else 0
            np.testing.assert_allclose(c[s, i].numpy(), expected, rtol=0, atol=1e-13)


def test_spread_is_indexing_and_both_have_the_right_gradients():
    rng = np.random.default_rng(2)
    x = torch.from_numpy(rng.normal(size=(2, 8, 3))).requires_grad_()
    weight = torch.from_numpy(rng.uniform(0.5, 1, size=(2, 8))).requires_grad_()
    valid = torch.tensor([[True] * 8, [True, False] * 4])
    ct, k = clustering.clusters(torch.from_numpy(rng.integers(0, 3, size=(2, 8, 1))), valid)
    c = clustering.means(x, ct, int(k.max()), valid)
    tokens = clustering.spread(c, ct)
    for s in range(2):
        for j in range(8):
            assert not valid[s, j] or torch.equal(tokens[s, j], c[s, ct[s, j]])
    assert torch.autograd.gradcheck(
        lambda x, weight: clustering.spread(
            clustering.means(x, ct, int(k.max()), valid, weight), ct)[valid], (x, weight))


def test_bfloat16_tokens_hash_and_average_in_single_precision():
    rng = np.random.default_rng(4)
    x = torch.from_numpy(rng.normal(size=(1, 600, 16))).bfloat16()
    a, offset = torch.from_numpy(rng.normal(size=(4, 16))).float(), torch.rand(4)
    with torch.autocast("cpu", torch.bfloat16):
        low = clustering.hash_values(x, a, offset, 0.5)
    assert torch.equal(low, clustering.hash_values(x.float(), a, offset, 0.5))
    ct = torch.zeros(1, 600, dtype=torch.int64)
    mean = clustering.means(x, ct, 1)
    assert mean.dtype == torch.bfloat16
    assert torch.equal(mean, clustering.means(x.float(), ct, 1).bfloat16())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_clusters_and_the_same_sums_every_time():
    rng = np.random.default_rng(5)
    codes = torch.from_numpy(rng.integers(-3, 3, size=(8, 300, 3)))
    valid = random_valid(rng, 8, 300)
    ct, k = clustering.clusters(codes, valid)
    other, k_other = clustering.clusters(codes.cuda(), valid.cuda())
    assert torch.equal(ct, other.cpu()) and torch.equal(k, k_other.cpu())
    x = torch.randn(8, 300, 64).cuda()
    sums = [clustering.means(x, other, int(k.max()), valid.cuda()) for _ in range(5)]
    assert all(torch.equal(sums[0], again) for again in sums)
