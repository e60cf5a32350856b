"""Workloads, and that all accelerators answer alike."""

import pytest

from model.accelerator import Attention, FeedForward, NotMeasured
from model.cta.accelerator import CTAAccelerator
from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.job import Mode
from model.errors import ConfigError
from model.lookup.accelerator import LookupAccelerator
from model.lookup.config import LookupConfig
from model.lookup.cycles import layer_cycles
from model.lookup.job import Order

CFG = CTAConfig(b=4, d=8, dw=24, l=3, n=40)
FFN = LookupConfig(d=16, h=4, tau=3, block=4, multipliers=8, lanes=8, batch=3)
WORK = {CTAAccelerator(CFG): Attention(40), LookupAccelerator(FFN): FeedForward(7)}


def test_a_layer_of_attention_clusters_once():
    first, other = (head_cycles(CFG, 30, 20, 9, 8, 7, reuse=reuse).total for reuse in (False, True))
    assert CTAAccelerator(CFG).cycles(Attention(30, 5, 20, (9, 8, 7))) == first + 4 * other
    first, other = (head_cycles(CFG, 30, 30, 0, 0, 0, Mode.EXACT, reuse=reuse).total
                    for reuse in (False, True))
    assert CTAAccelerator(CFG).cycles(Attention(30, 2)) == first + other


@pytest.mark.parametrize("order", Order)
def test_a_layer_of_tables(order):
    assert (LookupAccelerator(FFN, order, 30).cycles(FeedForward(7))
            == layer_cycles(FFN, 7, order, 30).total)


def test_an_order_that_needs_the_tile_is_refused():
    bare = LookupConfig(d=16, h=4, tau=3, block=4, multipliers=8, lanes=8, tile=False)
    cycles = layer_cycles(bare, 7, latency=30).total
    assert LookupAccelerator(bare, latency=30).cycles(FeedForward(7)) == cycles
    with pytest.raises(ConfigError, match="order is TABLE_MAJOR, must be TOKEN_MAJOR for an engine without"):
        LookupAccelerator(bare, Order.TABLE_MAJOR)


@pytest.mark.parametrize("one", WORK, ids=lambda one: type(one).__name__)
def test_what_is_not_measured_is_not_guessed(one):
    assert one.cycles(WORK[one]) > 0
    with pytest.raises(NotMeasured, match="energy of the .* engine"):
        one.energy(WORK[one], "45nm")


@pytest.mark.parametrize("make, message", [
    (lambda: Attention(0), "n is 0, must be in 1.."),
    (lambda: Attention(4, heads=0), "heads is 0"),
    (lambda: Attention(4, m=0), "m is 0"),
    (lambda: Attention(4, m=3, clusters=(4, 1, 1)), r"k0 is 4, must be in 1\.\.3"),
    (lambda: Attention(4, clusters=(4, 1, 0)), "k2 is 0"),
    (lambda: FeedForward(0), "tokens is 0"),
])
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
