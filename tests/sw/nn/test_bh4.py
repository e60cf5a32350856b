"""Fast Hadamard transforms and BHk against matrices written out."""

import numpy as np
import pytest
import torch

from model.errors import ConfigError
from sw.nn.bh4 import bhk, bhk_matrix, hadamard, hadamard_matrix


def sylvester(n):
    """(-1) to the number of ones that row and column have in common."""
    return np.array([[(-1) ** (i & j).bit_count() for j in range(n)] for i in range(n)])


@pytest.mark.parametrize("n", [1, 2, 4, 8, 64, 128, 512])
def test_hadamard_is_sylvesters(n):
    want = sylvester(n)
    assert np.array_equal(hadamard_matrix(n).numpy(), want)
    x = torch.randn(3, 2, n, dtype=torch.float64)
    np.testing.assert_allclose(hadamard(x).numpy(), x.numpy() @ want.T, atol=1e-10)


def test_matrix_made_in_inference_mode_still_trains():
    with torch.inference_mode():
        hadamard_matrix(32, torch.zeros(1, dtype=torch.float64))
    x = torch.randn(4, 32, dtype=torch.float64, requires_grad=True)
    hadamard(x).square().sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 64 * x.detach().numpy(), atol=1e-10)


@pytest.mark.parametrize("n, block, copies, depth", [
    (8, 4, 1, 4), (16, 16, 2, 4), (64, 8, 3, 4), (64, 2, 1, 1), (256, 128, 1, 2), (32, 1, 2, 3),
    (1, 1, 1, 4)])
def test_bhk_against_dense_matrices(n, block, copies, depth):
    blocks = torch.randn(copies, depth, n // block, block, block, dtype=torch.float64) / block
    x = torch.randn(5, n, dtype=torch.float64)
    got, matrices = bhk(x, blocks), bhk_matrix(blocks)
    assert got.shape == (copies, 5, n) and matrices.shape == (copies, n, n)
    for c in range(copies):
        matrix = np.eye(n)
        for j in range(depth):
            diagonal = np.zeros((n, n))
            for b in range(n // block):
                at = slice(b * block, (b + 1) * block)
                diagonal[at, at] = blocks[c, j, b].numpy()
            matrix = sylvester(n) @ diagonal @ matrix
        scale = np.abs(matrix).max()
        np.testing.assert_allclose(matrices[c].numpy(), matrix, atol=1e-12 * scale)
        np.testing.assert_allclose(got[c].numpy(), x.numpy() @ matrix.T, atol=1e-11 * scale)


def test_bhk_gradient():
    blocks = torch.randn(2, 4, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    x = torch.randn(3, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(bhk, (x, blocks))


def test_order_must_be_a_power_of_two():
    for n in (0, 3, 12):
        with pytest.raises(ConfigError, match=f"n is {n}, must be a power of two"):
            hadamard_matrix(n)
    with pytest.raises(ConfigError, match="the last dimension is 6"):
        hadamard(torch.zeros(2, 6))
