"""Exact mode of our array, by the cycle model that the RTL keeps."""

from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.job import Mode
from sw.rivals.exact import Exact
from sw.rivals.ideal import Ideal
from sw.rivals.rival import Layer


def test_cycles_are_those_of_the_cycle_model():
    layer = Layer(512, clusters=(3, 2, 1))          # which exact mode does not look at
    alone = head_cycles(CTAConfig(), 512, 512, 512, 512, 0, Mode.EXACT).total
    assert Exact().cycles(layer) == alone
    assert Exact(4, 32).cycles(Layer(100, m=7, d=32, dw=96)) == head_cycles(
        CTAConfig(b=4, d=32, dw=96, n=100), 100, 7, 7, 100, 0, Mode.EXACT).total


def test_no_array_beats_the_ideal_and_ours_is_within_five_percent():
    layer = Layer(512)
    assert 1 < Exact().cycles(layer) / Ideal().cycles(layer) < 1.05
    assert Exact().multiplications(layer) == {"hashes": 0} | Ideal().multiplications(layer)
    assert sum(Exact().accesses(layer).values()) > sum(Ideal().accesses(layer).values())
