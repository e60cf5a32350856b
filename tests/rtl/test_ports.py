"""Memories with one port: no run of the tests writes and reads one in a cycle, or the harness would end it;
here, that it would, and that each rule which keeps accesses apart is needed."""

import numpy as np
import pytest

from gen.cta import host, lanes, program
from gen.cta.lane import Lane
from gen.cta.loader import Loader
from gen.cta.sequencer import Sequencer
from gen.cta.top import CTA
from model.cta.banks import banks
from model.cta.config import CTAConfig
from sw.sim.cta import Session
from sw.sim.engine import EngineError, Script, build_component
from tests.gen.mutants import edited
from tests.rtl.test_layer import made, queue, same

CFG = CTAConfig(b=2, d=8, dw=16, n=24, tokens=48, l=3, sets=2)


def played(seed=4):
    """Layers behind each other, loads and outputs beside them, compared with the models."""
    rng = np.random.default_rng(seed)
    layers = [made(CFG, rng, 3) for _ in range(8)]
    session = Session(CFG, Script(seed))
    for weights, job in layers:
        queue(session, CFG, weights, job, False, rng)
    results = session.wait().results(build_component(CTA(CFG), "ports").run(session.script))
    for at, (weights, job) in enumerate(layers):
        same(CFG, results[:len(weights)], weights, job, f"layer {at}")
        del results[:len(weights)]


def test_one_port_is_enough(tried):
    """Tokens, weights and scores, and where centroids stay outputs: with all that moves beside a job."""
    default = {bank.name for bank in banks(CTAConfig()) if bank.ports == "1rw"}
    assert default == {"tokens", "weights", "outputs", "CS"}
    one = [bank for bank in banks(CFG) if bank.ports == "1rw"]
    assert {bank.name for bank in one} == {"tokens", "weights", "CS"}      # Q is loaded beside O
    played()
    tried("memories with one port", banks=sum(bank.count for bank in one))


RULES = {
    "weights are written while they are read": (host, Loader, ("(claimed | reads)", "claimed"), EngineError,
                                                "it has one port"),
    "the hash begins out of turn": (program, Sequencer, ("== self.turn", "== row.addr[0]", "_fits"),
                                    AssertionError, "layer"),
    "one copy of C1": (lanes, Lane, ("cag.residual & at for at in (cag.copy, ~cag.copy)",
                                     "cag.residual & at for at in (0, 1)"), AssertionError, "layer"),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule, monkeypatch):
    module, block, edit, error, said = RULES[rule]
    monkeypatch.setattr(module, block.__name__, edited(block, *edit))
    with pytest.raises(error, match=said):
        played()
