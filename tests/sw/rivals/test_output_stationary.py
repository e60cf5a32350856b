"""The output-stationary array against one that is simulated cycle by cycle."""

import numpy as np
import pytest

from sw.rivals.ideal import Ideal
from sw.rivals.output_stationary import Gemm, OutputStationary
from sw.rivals.rival import Layer


def simulate(a, b):
    """One tile on an array of its size: cycles until the last result has left, and the results."""
    (rows, depth), columns = a.shape, b.shape[1]
    acc, left, top = (np.zeros((rows, columns), int) for _ in range(3))
    cycles, done = 0, np.zeros((rows, columns), int)
    while (done < depth).any():
        left[:, 1:], top[1:] = left[:, :-1].copy(), top[:-1].copy()
        for i in range(rows):
            at = cycles - i
            left[i, 0] = a[i, at] if 0 <= at < depth else 0
        for j in range(columns):
            at = cycles - j
            top[0, j] = b[at, j] if 0 <= at < depth else 0
        acc += left * top
        i, j = np.indices(acc.shape)
        done += (0 <= cycles - i - j) & (cycles - i - j < depth)
        cycles += 1
    return cycles + rows, acc                 # each column gives up a result a cycle


@pytest.mark.parametrize("rows, columns, depth", [(2, 2, 3), (4, 3, 1), (3, 7, 9), (16, 32, 64)])
def test_a_tile_takes_what_the_formula_says(rows, columns, depth):
    """2R + C + T - 2 of SCALE-Sim."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 9, (rows, depth)), rng.integers(-9, 9, (depth, columns))
    cycles, result = simulate(a, b)
    assert (result == a @ b).all()
    assert cycles == OutputStationary(rows, columns).gemm_cycles(Gemm(rows, depth, columns))
    assert cycles == 2 * rows + columns + depth - 2


def test_attention_of_the_paper():
    array, layer = OutputStationary(), Layer(512)
    edges = 2 * 16 + 32 - 2
    assert array.cycles(layer) == 3 * 64 * (64 + edges) + 512 * (64 + edges) + 64 * (512 + edges)
    assert array.multiplications(layer) == Ideal().multiplications(layer)
    assert 1 < OutputStationary(overlapped=True).cycles(layer) / Ideal().cycles(layer) < 1.01


def test_ragged_tiles_are_whole_ones():
    array = OutputStationary(4, 4)
    assert array.tiles(Gemm(5, 9, 8)) == 4
    assert array.gemm_cycles(Gemm(5, 9, 8)) == 4 * (9 + 10)
    assert OutputStationary(4, 4, overlapped=True).gemm_cycles(Gemm(5, 2, 8)) == 4 * 4 + 10


def test_accesses():
    moved = OutputStationary(16, 32).accesses(Layer(512))
    assert moved["scores"] == (512 * 64 * 16 + 64 * 512 * 32 + 512 * 512) / 64
