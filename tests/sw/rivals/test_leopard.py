"""LeOPArd: its early end against bits taken one step at a time, its speedup against that of the abstract."""

import numpy as np
import pytest

from sw.io.errors import InputError
from sw.rivals.leopard import SPEEDUP, LeOPArd, cycles_a_key
from sw.rivals.rival import Layer, fixed_point
from tests.sw.rivals.made import random_layer, shipped


def stepped(query, key, threshold):
    """Cycles of one pair: two more bits of every element a cycle, the rest at its best."""
    for step in range(1, 7):
        left = 12 - 2 * step
        score = best = 0
        for a, b in zip(query, key):
            seen = (abs(int(b)) >> left << left) * (-1 if b < 0 else 1)
            score += a * seen
            rest = ((1 << left) - 1) * (-1 if b < 0 else 1)
            best += max(0, a * rest)
        if score + best < threshold:
            return step
    return 6


@pytest.mark.parametrize("share", [0, 0.5, 0.8, 0.99])
def test_steps(share):
    layer = random_layer(12, 1, 8)
    q, k = fixed_point(layer.q[0], 12), fixed_point(layer.k[0], 12)
    threshold = np.quantile(q @ k.T, share)
    found = cycles_a_key(q, k, threshold)
    assert found.tolist() == [[stepped(a, b, threshold) for b in k] for a in q]
    # What reaches the threshold is seen to the last bit.
    assert (found[q @ k.T >= threshold] == 6).all()


def test_a_pair_that_may_still_reach_the_threshold_goes_on():
    """2047 can be 1024 + 1023 after the first step: a threshold of 2047 does not stop it, 2048 does."""
    q, k = np.array([[1]]), np.array([[2047]])
    assert cycles_a_key(q, k, 2047) == [[6]] and cycles_a_key(q, k, 2048) == [[1]]
    assert cycles_a_key(q, -k, 0) == [[1]] and cycles_a_key(-q, -k, 2047) == [[6]]


def test_without_a_threshold_a_key_a_cycle():
    """Six serial units of six cycles a key are as fast as the parallel machine that is the baseline."""
    assert LeOPArd(None).cycles(Layer(510, m=20)) == 20 * 510 + 510
    assert LeOPArd(None).multipliers == 128
    assert LeOPArd(None).multiplications(Layer(60))["scores"] == 60 * 60 * 64


def test_the_average_speedup_of_the_abstract():
    """1.9 over 43 tasks; the head that ships is there with 80% pruned, and passes it between 67 and 90%."""
    layer = shipped()
    all_keys = LeOPArd(None).cycles(layer)
    speedup = {share: all_keys / LeOPArd(share).cycles(layer) for share in (0.67, 0.75, 0.8, 0.9)}
    assert speedup[0.67] < SPEEDUP < speedup[0.9]
    assert speedup[0.8] == pytest.approx(SPEEDUP, rel=0.05)
    assert list(speedup.values()) == sorted(speedup.values())


def test_queries_follow_each_other():
    layer, rival = shipped(60), LeOPArd(0.5)
    q, k = fixed_point(layer.q[0], 12), fixed_point(layer.k[0], 12)
    threshold = np.quantile(q @ k.T, 0.5)
    steps = cycles_a_key(q, k, threshold)
    front = [max(row[unit::6].sum() for unit in range(6)) for row in steps]
    alive = [max(1, (row >= threshold).sum()) for row in q @ k.T]
    least = max(sum(front) + alive[-1], front[0] + sum(alive))
    assert least <= rival.cycles(layer) <= sum(front) + sum(alive)
    assert rival.accesses(layer)["values"] == sum(alive)
    assert rival.accesses(layer)["keys"] == pytest.approx(steps.sum() / 6)


def test_refusals():
    with pytest.raises(InputError, match="LeOPArd chooses its candidates"):
        LeOPArd().cycles(Layer(8))
    with pytest.raises(InputError, match="pruned is 1, must be in 0..1"):
        LeOPArd(1.0).cycles(random_layer())
    with pytest.raises(InputError, match="LeOPArd takes heads of at most 64"):
        LeOPArd(None).cycles(Layer(8, d=128))
