"""A whole layer of BERT-large, 16 heads of 64 on 512 tokens of 1,024, once a night."""

import pytest

from sw.sim.cta import Session, build
from sw.sim.engine import Script
from sw.studies.bench import layers
from tests.rtl.test_layer import queue, same


@pytest.mark.nightly
def test_a_whole_layer(tried):
    """Every bit of every head, its counts and its cycles at the paper's CTA-0.5, loads and outputs beside
    the jobs."""
    net, = (net for net in layers.NETS if net.name == "BERT-large")
    size, = layers.sizes([net], (512,), ("CTA-0.5",))
    cfg = size.config()
    weights, job = layers.operands(cfg, size, 0)
    assert len(weights) == 16 and cfg.slices == 16
    _, results = queue(Session(cfg, Script(1)), cfg, weights, job, wait=False).wait().play(build(cfg))
    same(cfg, results, weights, job, net.name)
    assert {(result.k0, result.k1, result.k2) for result in results} == {(size.k0, size.k1, size.k2)}
    tried("layers on the RTL", layers=1, heads=net.heads, outputs=sum(result.o.size for result in results))
