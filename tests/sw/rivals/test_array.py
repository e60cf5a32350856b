"""Row accesses of the array, counted step by step."""

import pytest

from model.cta.config import CTAConfig
from model.cta.cost import OPERATING_POINTS
from sw.io.errors import InputError
from sw.rivals.array import Array, Clustered, array_accesses, scaled
from sw.rivals.rival import Layer


def walked(b, d, l, n, m, k0, k1, k2):  # noqa: E741
    """Reads and writes of Table I with d = dw, one at a time."""
    moved = dict.fromkeys(("tokens", "directions", "centroids", "weights", "keys", "values", "outputs"), 0)

    def move(what, rows=1):
        moved[what] += rows

    move("directions", l)
    for count, residual in ((n, False), (m, False), (n, True)):
        for _ in range(count):
            move("tokens")                       # to the hash
            move("tokens")                       # to the accumulator
            move("centroids", 2 * residual)      # subtracted before either
            move("centroids", 2)                 # a sum read and written
    for _ in range(k0 + k1 + k2):
        move("centroids", 2)                     # a sum averaged
    k = k1 + k2
    for at in range(0, k, b):
        for _ in range(at, min(at + b, k)):
            move("centroids")
            move("keys")
            move("values")
        move("weights", 2 * d)
    for at in range(0, k0, b):
        for _ in range(at, min(at + b, k0)):
            move("centroids")
            move("outputs")
        move("weights", d)
        move("keys", k)
        move("values", k)
    return moved


@pytest.mark.parametrize("sizes", [(512, 512, 322, 258, 29), (70, 33, 9, 17, 3), (8, 8, 1, 1, 1)])
def test_accesses(sizes):
    n, m, k0, k1, k2 = sizes
    cfg = CTAConfig(b=8, d=64, l=6, n=512)
    assert array_accesses(cfg, m, n, k0, k1, k2) == walked(8, 64, 6, n, m, k0, k1, k2)


def test_exact_attention_hashes_nothing():
    found = array_accesses(CTAConfig(), 512, 512, 512, 512, 0)
    assert found["tokens"] == found["directions"] == 0 and found["centroids"] == 2 * 512
    assert found["keys"] == 512 + 512 * 64


def test_clusters_of_a_layer_or_of_the_rival():
    layer = Layer(64, clusters=(30, 20, 10))
    assert Clustered().counts(layer) == (30, 20, 10)
    assert Clustered(clusters=(3, 2, 1)).counts(layer) == (3, 2, 1)
    assert [scaled(point, Layer(512)) for point in OPERATING_POINTS] == [
        (point.k0, point.k1, point.k2) for point in OPERATING_POINTS]
    assert scaled(OPERATING_POINTS[0], Layer(4, m=1)) == (1, 2, 1)


def test_heads_of_another_width_are_refused():
    with pytest.raises(InputError, match="the heads have d = 32, the array has d = 64"):
        Array().multiplications(Layer(8, d=32))
