"""Power-up in four values: nothing that a job gives depends on what was never set."""

import dataclasses

import pytest

from model.cta.config import CTAConfig
from model.lookup.config import LookupConfig
from sw.sim.simulators import SIMULATORS
from verif.runner import BENCHES, run

pytestmark = pytest.mark.skipif(not SIMULATORS["icarus"].installed, reason="Icarus Verilog is not installed")

CTA = {"plain": CTAConfig(b=2, d=8, l=2, n=8, tokens=12),
       "slices": CTAConfig(b=2, d=8, dw=24, l=5, n=20, pag=2, sets=2, lanes=4, digit=4),
       "fast": CTAConfig(b=2, d=8, dw=32, l=5, n=20, pag=2, lanes=4, products="fast")}
SMALL = dict(d=16, h=4, tau=3, block=4, multipliers=8, lanes=8, batch=3)
LOOKUP = {"plain": LookupConfig(**SMALL), "dense": LookupConfig(**SMALL, projection="dense"),
          "internal": LookupConfig(**SMALL, tables="internal"),
          "neighbours": LookupConfig(**SMALL, neighbours=True, residual=True)}


@pytest.mark.reliability
@pytest.mark.parametrize("engine, name", [*(("cta", name) for name in CTA),
                                          *(("lookup", name) for name in LOOKUP)])
def test_power_up(engine, name, tried):
    cfg = (CTA if engine == "cta" else LOOKUP)[name]
    assert run(engine, BENCHES[engine], cfg, 5, "icarus", "power_up") == (1, 0)
    tried("four-valued power-up", configurations=1)


def test_a_value_never_set_is_seen():
    """Without its weights, a job's output would not be known: the bench says so."""
    bench = dataclasses.replace(BENCHES["cta"], module="tests.rtl.never_loaded")
    assert run("cta", bench, CTA["plain"], 5, "icarus", "weights_never_loaded") == (1, 1)
