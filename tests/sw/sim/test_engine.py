"""The compiled harness on a small component: streams, stalls, probes, resets, timeouts."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sw.sim.engine import EngineError, Script, build_component

WIDE = (1 << 69) + 5


class Echo(wiring.Component):
    """Gives back every payload plus one, a cycle later, and counts them."""

    module_name = "echo"

    def __init__(self):
        super().__init__({"i": In(stream.Signature(70)), "o": Out(stream.Signature(70)),
                          "count": Out(5)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload + 1)]
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += self.count.eq(self.count + 1)
        return m


@pytest.fixture(scope="module")
def echo():
    return build_component(Echo(), "test-echo")


def test_payloads_cycles_and_probes(echo):
    run = echo.run(Script().reset(3).push("i", *[WIDE + k for k in range(6)]).wait("o", 6))
    assert run.received["o"] == [WIDE + k + 1 for k in range(6)]
    assert run.cycles["i"] == list(range(3, 9)) and run.cycles["o"] == list(range(4, 10))
    assert run.probes["count"] == (list(range(3, 10)), list(range(7)))
    assert run.per_cycle(3, 7, "count").tolist() == [0, 1, 2, 3]
    assert run.end == 10


def test_stalls_change_the_time_and_nothing_else_and_replay(echo):
    def play(seed):
        script = Script().reset(3).stall("i", .5, 1, seed).stall("o", .7, 4, seed)
        return echo.run(script.push("i", *range(50)).wait("o", 50))
    one, again, other = play(1), play(1), play(2)
    assert one.received["o"] == other.received["o"] == list(range(1, 51))
    assert one.cycles == again.cycles != other.cycles and one.end > 60


def test_reset_in_the_middle_drops_what_is_queued(echo):
    script = Script().reset(3).push("i", *range(100)).wait("o", 5).reset(2)
    run = echo.run(script.push("i", 200).wait("o", 1))
    assert run.received["o"] == [1, 2, 3, 4, 5, 201]
    assert run.resets == [0, 9]


def test_a_wait_that_takes_too_long_says_for_what(echo):
    script = Script().reset(2).limit(50).push("i", 1).wait("o", 1).wait("o", 2)
    with pytest.raises(EngineError, match=r"waited 50 cycles for transfer 2 of o; .*i 1, o 1"):
        echo.run(script)


def test_a_stream_that_is_not_there_is_named(echo):
    with pytest.raises(EngineError, match="no stream is called nowhere"):
        echo.run(Script().reset(2).push("nowhere", 1))


def test_power_up_bits_differ_with_the_seed(echo):
    def before_reset(seed):
        return echo.run(Script(seed).idle(1)).probes["count"][1][0]
    assert len({before_reset(seed) for seed in range(8)}) > 1
