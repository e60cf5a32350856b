"""The list of banks: it is what the generator emits, and what it adds up to."""

import dataclasses
from collections import Counter

import pytest

from model.cta import banks as budget
from model.cta.config import CTAConfig

SHAPES = (dict(b=2, d=8, l=2, n=6), dict(b=8, d=8, dw=24, l=2, n=40, sums=2, sets=3, pag=4),
          dict(b=2, d=8, dw=16, l=5, n=70, tokens=90, exact=9, digit=4, k1=50),
          dict(b=2, d=16, dw=64, l=2, n=21, exact=7, k0=7, k1=13, lanes=8, products="fast"),
          dict(b=4, d=8, l=3, n=33, k0=7, k1=5, k2=6, digit=1))


def shapes(listed) -> Counter:
    """Instances by ports, depth and width."""
    found = Counter()
    for bank in listed:
        found[bank.ports, bank.depth, bank.width] += bank.count
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_banks_are_what_is_emitted(shape):
    pytest.importorskip("amaranth", reason="needs the rtl extra")
    from gen.cta.top import CTA
    from gen.emit import Emitter

    cfg = CTAConfig(**shape)
    emitter = Emitter()
    emitter.convert(CTA(cfg), "cta")
    emitted = Counter({(m["ports"], m["depth"], m["width"]): m["count"] for m in emitter.memories("cta")})
    assert shapes(budget.banks(cfg)) == emitted
    assert budget.bits(cfg) == sum(number * depth * width for (_, depth, width), number in emitted.items())


def test_the_check_sees_a_bank_that_is_another():
    """One row more in one bank, or another kind of port, is another list."""
    listed = budget.banks(CTAConfig())
    for change in ({"depth": listed[0].depth + 1}, {"ports": "2rw"}, {"count": listed[0].count - 1}):
        other = (dataclasses.replace(listed[0], **change), *listed[1:])
        assert shapes(other) != shapes(listed)


def test_a_bank_as_data():
    bank = budget.Bank("keys", "C0, K", "1r1w", 8, 5, 12)
    assert bank.as_dict() == {"name": "keys", "holds": "C0, K", "ports": "1r1w", "count": 8, "depth": 5,
                              "width": 12, "bits": 480}
