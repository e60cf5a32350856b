"""Our engine on clusters, by the cycle model that the RTL keeps."""

import pytest

from model.accelerator import Attention
from model.cta.accelerator import CTAAccelerator
from model.cta.config import CTAConfig
from sw.io.errors import InputError
from sw.rivals.compressed import Compressed
from sw.rivals.published import PublishedCTA
from sw.rivals.rival import Layer

COUNTS = (200, 217, 24)


def test_cycles_are_those_of_the_accelerator():
    layer = Layer(512, 12)
    alone = CTAAccelerator(CTAConfig()).cycles(Attention(512, 12, clusters=COUNTS))
    assert Compressed(clusters=COUNTS).cycles(layer) == alone
    assert Compressed().cycles(Layer(512, 12, clusters=COUNTS)) == alone


def test_one_head_is_within_a_percent_of_the_published_sum():
    layer = Layer(512, clusters=COUNTS)
    ours, theirs = Compressed(), PublishedCTA()
    assert 1 < ours.cycles(layer) / theirs.cycles(layer) < 1.01
    assert ours.accesses(layer) == theirs.accesses(layer)
    assert ours.multiplications(layer) == theirs.multiplications(layer)


def test_further_heads_take_the_clusters_of_the_first():
    one, twelve = Layer(512, clusters=COUNTS), Layer(512, 12, clusters=COUNTS)
    ours = Compressed()
    assert ours.multiplications(twelve)["hashes"] == ours.multiplications(one)["hashes"]
    assert ours.accesses(twelve)["tokens"] == ours.accesses(one)["tokens"]
    assert ours.accesses(twelve)["keys"] == 12 * ours.accesses(one)["keys"]
    assert ours.cycles(twelve) < PublishedCTA().cycles(twelve)


def test_without_clusters():
    with pytest.raises(InputError, match="this engine, CTA needs cluster counts"):
        Compressed().cycles(Layer(512))
