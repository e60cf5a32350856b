"""The projections of Fig. 4 against dense matrices and against their own counts."""

import math

import numpy as np
import pytest
import torch

from model.errors import ConfigError
from model.lookup.config import LookupConfig
from model.lookup.cost import account
from sw.nn.projections import PROJECTIONS, dct, idct, make_projection


def sylvester(n):
    return np.array([[(-1) ** (i & j).bit_count() for j in range(n)] for i in range(n)])


def cosine(n):
    """DCT-II with orthonormal rows."""
    matrix = np.array([[math.cos(math.pi / n * (j + 0.5) * k) for j in range(n)]
                       for k in range(n)])
    return matrix * np.where(np.arange(n) == 0, math.sqrt(1 / n), math.sqrt(2 / n))[:, None]


def diagonal(blocks):
    count, size, _ = blocks.shape
    matrix = np.zeros((count * size, count * size))
    for b, block in enumerate(blocks):
        matrix[b * size:(b + 1) * size, b * size:(b + 1) * size] = block
    return matrix


def copy_matrix(name, parameter, n):
    """The matrix of one copy, from its parameters, in numpy."""
    matrix = np.eye(n)
    if name in ("acdc", "hadamard"):
        forth = cosine(n) if name == "acdc" else sylvester(n) / math.sqrt(n)
        for a, d in parameter[:, :, 0]:
            matrix = np.linalg.inv(forth) @ np.diag(d) @ forth @ np.diag(a) @ matrix
    elif name == "shufflenet":
        groups, size, _ = parameter.shape
        shuffle = np.zeros((n, n))
        for g in range(groups):
            for i in range(size):
                shuffle[i * groups + g, g * size + i] = 1
        matrix = shuffle @ diagonal(parameter)
    else:
        for stage in parameter:
            matrix = sylvester(n) @ diagonal(stage) @ matrix
    return matrix


@pytest.mark.parametrize("n", [1, 2, 7, 64, 257, 300, 512])
def test_cosine_transform(n):
    """Below GEMM a product, above it an FFT: the same transform, and it is orthonormal."""
    x = torch.randn(3, n, dtype=torch.float64)
    np.testing.assert_allclose(dct(x).numpy(), x.numpy() @ cosine(n).T, atol=1e-10)
    np.testing.assert_allclose(idct(dct(x)).numpy(), x.numpy(), atol=1e-10)
    np.testing.assert_allclose(cosine(n) @ cosine(n).T, np.eye(n), atol=1e-10)


@pytest.mark.parametrize("n", [8, 258])
def test_cosine_transform_trains(n):
    x = torch.randn(1, n, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u: idct(dct(u) ** 2), (x,))


@pytest.mark.parametrize("name, size", [
    ("acdc", 1), ("acdc", 3), ("hadamard", 1), ("hadamard", 3), ("shufflenet", 2),
    ("shufflenet", 16), ("bh1", 4), ("bh2", 4), ("bh3", 2), ("bh4", 8), ("dense", 0)])
@pytest.mark.parametrize("shape", [(16, 16), (16, 40), (11, 5), (9, 33)])
def test_against_a_dense_matrix(name, size, shape):
    inside, outside = shape
    p = make_projection(name, inside, outside, size).double()
    (_, parameter), = p.named_parameters()
    parameter = parameter.detach().numpy()
    if name == "dense":
        want = parameter
    else:
        want = np.concatenate([copy_matrix(name, one, 16) for one in parameter])
        want = want[:outside, :inside]
    x = torch.randn(2, 3, inside, dtype=torch.float64)
    np.testing.assert_allclose(p.matrix().detach().numpy(), want, atol=1e-10)
    np.testing.assert_allclose(p(x).detach().numpy(), x.numpy() @ want.T, atol=1e-10)
    assert p.parameters_count == parameter.size


def test_flop():
    """By hand for n = 64: levels 6."""
    flop = {name: make_projection(name, 64, 64, 8).flop for name in PROJECTIONS}
    assert flop["dense"] == 2 * 64 * 64
    assert flop["hadamard"] == 8 * (2 * 64 + 2 * 64 * 6)
    assert flop["acdc"] == 8 * (2 * 64 + 2 * (2 * 64 * 6 - 64 + 2))
    assert flop["shufflenet"] == 2 * 64 * 8
    assert [flop[f"bh{k}"] for k in (1, 2, 3, 4)] == [k * (2 * 64 * 8 + 64 * 6)
                                                     for k in (1, 2, 3, 4)]


def test_bh4_costs_what_the_engine_counts():
    cfg = LookupConfig(d=72, h=20, tau=7, block=16)
    p = make_projection("bh4", 72, 140, 16)
    assert p.flop == account(cfg).hash_flop and p.parameters_count == account(cfg).weights


@pytest.mark.parametrize("name", PROJECTIONS)
def test_starts_at_a_sane_size(name):
    """Outputs of unit tokens neither vanish nor explode, at any depth or block."""
    torch.manual_seed(0)
    x = torch.randn(200, 64)
    for size in (1, 4, 16):
        assert 0.5 < make_projection(name, 64, 128, size)(x).std() < 2


def test_refusals():
    with pytest.raises(ConfigError, match="projection is 'bh5', must be one of acdc"):
        make_projection("bh5", 8, 8, 2)
    for name in ("bh2", "shufflenet"):
        for size in (0, 3, 16):
            with pytest.raises(ConfigError, match=f"block is {size}, must be a power of two in "):
                make_projection(name, 8, 8, size)
    with pytest.raises(ConfigError, match="depth is 0, must be at least 1"):
        make_projection("acdc", 8, 8, 0)
    with pytest.raises(ConfigError, match="out_features is 0, must be at least 1"):
        make_projection("dense", 8, 0)
    for name in ("dense", "bh4"):
        with pytest.raises(ValueError, match="x has 9 elements a token, must be 8"):
            make_projection(name, 8, 8, 2)(torch.zeros(1, 9))
