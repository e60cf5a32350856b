"""A3: its pipeline against its formulas, its search against columns that are sorted and popped."""

import heapq

import numpy as np
import pytest

from sw.io.errors import InputError
from sw.rivals.a3 import A3, AGGRESSIVE, CONSERVATIVE, candidates, kept
from sw.rivals.rival import Layer
from tests.sw.rivals.made import random_layer, shipped


def popped(query, k, iterations):
    """The search as the hardware does it: columns sorted, a pointer in each, the best pointer popped."""
    n, d = k.shape
    order = [np.argsort(k[:, i] * query[i], kind="stable") for i in range(d)]
    high = [(-(k[order[i][-1], i] * query[i]), i, n - 1) for i in range(d)]
    low = [(k[order[i][0], i] * query[i], i, 0) for i in range(d)]
    heapq.heapify(high)
    heapq.heapify(low)
    score, total = np.zeros(n), 0.0
    for _ in range(min(iterations, n * d)):
        value, i, at = heapq.heappop(high)
        score[order[i][at]] -= value
        total -= value
        if at:
            heapq.heappush(high, (-(k[order[i][at - 1], i] * query[i]), i, at - 1))
        if total >= 0:
            value, i, at = heapq.heappop(low)
            score[order[i][at]] += value
            total += value
            if at + 1 < n:
                heapq.heappush(low, (k[order[i][at + 1], i] * query[i], i, at + 1))
    return score > 0


@pytest.mark.parametrize("iterations", [1, 5, 20, 100, 1000])
def test_candidates_are_those_of_sorted_columns(iterations):
    layer = random_layer(20, 1, 8)
    found = candidates(layer.q[0], layer.k[0], iterations)
    assert (found == [popped(query, layer.k[0], iterations) for query in layer.q[0]]).all()


def test_what_is_kept_weighs_enough():
    layer = random_layer(20, 1, 8)
    q, k = layer.q[0], layer.k[0]
    chosen = candidates(q, k, 10)
    weights = np.exp(q @ k.T / np.sqrt(8))
    for i in range(20):
        most = max(weights[i][chosen[i]], default=0)
        assert (kept(q, k, chosen, 0.1)[i] == chosen[i] & (weights[i] >= 0.1 * most * (1 - 1e-9))).all()


@pytest.mark.parametrize("n", [20, 186, 320, 512])
def test_latency_and_throughput_without_approximation(n):
    """3 n + 27 cycles for the first output, n + 9 for each that follows."""
    assert A3().cycles(Layer(n, m=1)) == 3 * n + 27
    assert A3().cycles(Layer(n, m=100)) == 3 * n + 27 + 99 * (n + 9)
    assert A3().cycles(Layer(n, 2, m=50)) == A3().cycles(Layer(n, m=100))


def test_a_query_takes_as_long_as_its_slowest_stage():
    layer = shipped()
    for rival, most in ((A3(CONSERVATIVE), 256), (A3(AGGRESSIVE), 64)):
        q, k = layer.q[0], layer.k[0]
        scored = candidates(q, k, most).sum(axis=1)
        assert rival.iterations(layer) == most
        least = np.maximum(most, scored).sum() + 512 * 9
        assert least <= rival.cycles(layer) < 1.15 * least
        assert rival.pairs(layer)[0] == scored.sum() > rival.pairs(layer)[1]


def test_approximation_saves():
    layer = shipped()
    found = [(r.cycles(layer), sum(r.accesses(layer).values()), sum(r.multiplications(layer).values()))
             for r in (A3(), A3(CONSERVATIVE), A3(AGGRESSIVE))]
    assert found == sorted(found, reverse=True)
    assert A3().multipliers == 128 and A3((0.3, 0.1)).name == "A3, (0.3, 0.1)"


def test_refusals():
    with pytest.raises(InputError, match="A3 chooses its candidates"):
        A3(AGGRESSIVE).cycles(Layer(8))
    with pytest.raises(InputError, match="A3 takes heads of at most 64"):
        A3().cycles(Layer(8, d=128))
