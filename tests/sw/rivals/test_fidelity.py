"""Errors of approximations, against outputs written out."""

import numpy as np
import pytest

from model.cta.cost import OPERATING_POINTS
from sw.io.shipped import HEAD
from sw.rivals.a3 import A3, CONSERVATIVE
from sw.rivals.array import scaled
from sw.rivals.compressed import Compressed
from sw.rivals.elsa import ELSA
from sw.rivals.fidelity import choice_error, cluster_error
from sw.rivals.ideal import Ideal
from sw.rivals.leopard import LeOPArd
from sw.rivals.operands import read_layer
from sw.rivals.published import PublishedCTA
from sw.rivals.rival import Layer
from tests.sw.rivals.made import random_layer, shipped


def small(seed=0) -> Layer:
    q, k, v = np.random.default_rng(seed).standard_normal((3, 2, 6, 8))
    return Layer(6, 2, d=8, q=q, k=k, v=v)


def test_attention_to_some_keys():
    layer = small()
    chosen = np.random.default_rng(1).random((2, 6, 6)) < 0.5
    chosen[0, 0] = False
    wrong = right = 0.0
    for head in range(2):
        for i in range(6):
            weights = np.array([np.exp(layer.q[head, i] @ key / np.sqrt(8)) for key in layer.k[head]])
            exact = weights @ layer.v[head] / weights.sum()
            some = weights * chosen[head, i]
            found = some @ layer.v[head] / some.sum() if some.any() else np.zeros(8)
            wrong, right = wrong + ((found - exact) ** 2).sum(), right + (exact ** 2).sum()
    assert choice_error(layer, chosen) == pytest.approx(np.sqrt(wrong / right))


def test_all_keys_are_exact_and_some_need_values():
    layer = random_layer()
    assert choice_error(layer, np.ones((2, 40, 40), bool)) == 0
    assert choice_error(layer, np.eye(40, dtype=bool)[None]) is None
    assert Ideal().error(Layer(9)) == ELSA().error(Layer(9)) == A3().error(Layer(9)) == 0


def test_the_error_of_a_head_that_ships():
    """More approximation is further off; fitted directions are closer than random ones."""
    layer = shipped()
    for milder, bolder in ((ELSA(1), ELSA(4)), (LeOPArd(0.5), LeOPArd(0.9))):
        assert 0 < milder.error(layer) < bolder.error(layer) < 1
    assert A3(CONSERVATIVE).error(layer) < 0.5
    counts = [scaled(point, layer) for point in OPERATING_POINTS]
    fitted = [Compressed(clusters=each).error(layer) for each in counts]
    drawn = [PublishedCTA(clusters=each).error(layer) for each in counts]
    assert fitted == sorted(fitted) and drawn == sorted(drawn)
    assert all(ours < theirs for ours, theirs in zip(fitted, drawn))


def test_clusters_need_tokens_and_have_to_be_within_reach():
    assert cluster_error(random_layer(), (3, 2, 1), True) is None
    assert cluster_error(shipped(20), (30, 1, 1), True) is None


def test_heads_of_a_layer_share_their_clusters(tmp_path):
    """One clustering, fitted to both heads; the error is that of all outputs together."""
    with np.load(HEAD) as data:
        head = {name: data[name] for name in data.files if name != "meta"}
    np.savez(tmp_path / "0.npz", **head)
    np.savez(tmp_path / "1.npz", **head | {"wq": -head["wk"], "wk": head["wv"], "wv": head["wq"]})
    files = [tmp_path / "0.npz", tmp_path / "1.npz"]
    layer = read_layer(files, 64)
    one, other = (read_layer(file, 64) for file in files)
    counts = (40, 32, 4)
    drawn = [cluster_error(each, counts, False) for each in (one, other, layer)]
    assert min(drawn[:2]) <= drawn[2] <= max(drawn[:2])
    fitted = [cluster_error(each, counts, True) for each in (one, other, layer)]
    assert len(set(fitted)) == 3 and 0 < min(fitted)
