"""Rules that hold for every signal of both engines, checked on the netlist and not on chosen jobs.

Reset: from registers and memories that hold anything, one cycle of reset leaves an engine that,
with nothing offered to it, writes no memory and offers no output, ever; what decides is known, not
merely 0 by luck. A register that is reset stays known as well, unless it is data: then what it
holds means something only beside a valid that is known. Registers without a reset are data by the
same rule, for otherwise they would spoil one that is reset.

Ports: no output depends on an input within a cycle, so engines and interconnect can be wired in any
way without a loop, and every port starts or ends at a register.
"""

import re
from functools import cache, partial

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.cta.issue import Issue
from gen.cta.top import CTA
from gen.lookup.hash import Hash
from gen.lookup.projection import Projection
from gen.lookup.top import Lookup
from model.cta.config import CTAConfig
from model.lookup.config import LookupConfig
from tests.gen.mutants import edited
from tests.netlist import Netlist

LEAST = dict(d=8, h=2, tau=2, block=4, multipliers=4, lanes=8, batch=2)
ENGINES = {
    "cta": partial(CTA, CTAConfig(b=2, d=8, l=2, n=8)),
    "cta slices": partial(CTA, CTAConfig(b=2, d=8, dw=24, l=5, n=20, pag=2, sets=2, lanes=4,
                                         digit=4)),
    "cta one column": partial(CTA, CTAConfig(b=4, d=8, l=8, n=9, k0=7, k1=5, k2=3, pag=4)),
    "lookup": partial(Lookup, LookupConfig(**LEAST)),
    "lookup dense": partial(Lookup, LookupConfig(**LEAST, projection="dense")),
    "lookup internal": partial(Lookup, LookupConfig(**LEAST | {"d": 24, "lanes": 32},
                                                    tables="internal")),
    "lookup neighbours": partial(Lookup, LookupConfig(**LEAST, neighbours=True, residual=True)),
}
DATA = re.compile(
    r"load__beat|w_data|subtract|ctl_\d|fresh|over|(ct|i_|o_)_(first|last|lsh)|item|end|shift|score|saturated"
    r"|i__\d+")
"""Registers that are reset though they are data, by name: each stands beside a valid."""

AT_REST = 300
"""Cycles that are looked at; more than any pipeline is deep."""


@cache
def flat(name):
    return Netlist(ENGINES[name]())


def after_reset(netlist):
    """What could happen to an engine at rest after one cycle of reset: messages, by cycle."""
    inputs = {name: 0 for name in netlist.top.ports_i if name.endswith("valid")}
    registers = {name: nets for name, nets in netlist.registers().items()
                 if not DATA.fullmatch(name.split()[0].rpartition(".")[2])}
    found, cycles = {}, 0
    for cycles, value in enumerate(netlist.after_reset(AT_REST, inputs), 1):
        for name, nets in netlist.effects().items():
            ones, unknown = value(nets)
            idle = name.endswith("ready")              # may be high, but must be known
            if unknown or (ones and not idle):
                found.setdefault(name, f"{name} is {'unknown' if unknown else ones} "
                                       f"{cycles} cycles after the reset")
        if cycles == 1:
            registers = {name: nets for name, nets in registers.items() if not value(nets)[1]}
        for name, nets in registers.items():
            if value(nets)[1]:
                found.setdefault(name, f"{name} is unknown {cycles} cycles after the reset")
    return list(found.values()), cycles


@pytest.mark.reliability
@pytest.mark.parametrize("name", ENGINES)
def test_one_cycle_of_reset(name, tried):
    netlist = flat(name)
    found, cycles = after_reset(netlist)
    assert not found, "\n".join(found)
    assert len(netlist.effects()) > 10
    tried("netlist", engines=1, cells=len(netlist.cells), cycles_in_three_values=cycles,
          effects=len(netlist.effects()))


@pytest.mark.reliability
@pytest.mark.parametrize("name", ENGINES)
def test_no_path_from_input_to_output(name, tried):
    assert flat(name).paths() == set()
    tried("netlist", engines_for_paths=1)


NO_RESET = {
    "command of a slot": (CTA, "gen.cta.dispatch.Issue", Issue, "elaborate",
                          "early = self._later(m, slot, wait - 2, reset=True)",
                          "early = self._later(m, slot, wait - 2)"),
    "partial sums": (CTA, "gen.cta.dispatch.Issue", Issue, "elaborate",
                     "before = self._later(m, known, 2, reset=True)",
                     "before = self._later(m, known, 2)"),
    "rows to the outlet": (Lookup, "gen.lookup.top.Hash", Hash, "elaborate",
                           'put = delay(m, go, latency, reset=True, name="put")',
                           'put = delay(m, go, latency, name="put")'),
    "back to the ring": (Lookup, "gen.lookup.top.Projection", Projection, "_stages",
                         'ROUNDING - 1, name="back", reset=True)', 'ROUNDING - 1, name="back")'),
}


@pytest.mark.parametrize("name", NO_RESET)
def test_a_missing_reset_is_seen(name, monkeypatch):
    engine, place, block, method, old, new = NO_RESET[name]
    monkeypatch.setattr(place, edited(block, old, new, method))
    small = CTAConfig(b=2, d=8, l=2, n=8) if engine is CTA else LookupConfig(**LEAST)
    assert after_reset(Netlist(engine(small)))[0]


class Path(wiring.Component):
    """An output that follows an input at once, and one that does not."""

    a: In(4)
    direct: Out(4)
    held: Out(4)

    def elaborate(self, platform):
        m = Module()
        half = Signal(2)
        m.d.comb += [half.eq(self.a[:2]), self.direct.eq(half ^ 1)]
        m.d.sync += self.held.eq(self.a)
        return m


def test_a_path_is_seen():
    assert Netlist(Path()).paths() == {("a", "direct")}
