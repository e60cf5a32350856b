"""The actors themselves: what they draw, what they hold to, and that they see a block that does not."""

import asyncio

import pytest

from verif.actors import FREE, STALLS, Memory, Pattern, Sink, Source, Stall, pack, run

WIDTH = 9


class Wire:
    """Ports of a block that hands a stream ``i`` to ``o`` in the same cycle; ``fault(cycle, word)`` may
    change what it offers."""

    def __init__(self, fault=lambda cycle, word: word):
        self.values, self.fault, self.cycle = {}, fault, 0

    def set(self, name, value):
        self.values[name] = value & ((1 << self.width(name)) - 1)

    def get(self, name, undefined=None):
        crossed = {"i__ready": "o__ready", "o__valid": "i__valid", "o__payload": "i__payload"}
        value = self.values.get(crossed.get(name, name), 0)
        return self.fault(self.cycle, value) if name == "o__payload" else value

    def width(self, name):
        return WIDTH if name.endswith("payload") else 1

    async def settle(self):
        pass

    async def tick(self):
        self.cycle += 1


def played(words, before=FREE, after=FREE, fault=lambda cycle, word: word, earliest=None):
    ports = Wire(fault)
    source = Source(ports, "i", words, Stall("i", before), earliest)
    sink = Sink(ports, "o", Stall("o", after))
    asyncio.run(run(ports, (source, sink), lambda: len(sink.received) >= len(words), 5000))
    return source, sink


@pytest.mark.parametrize("name", STALLS)
def test_a_pattern_pauses_as_it_says(name):
    pattern, cycles = STALLS[name], 40_000
    stall = Stall(1, pattern)
    paused = [stall() for _ in range(cycles)]
    assert sum(paused) / cycles == pytest.approx(pattern.probability, abs=0.06)
    changes = sum(one != other for one, other in zip(paused, paused[1:]))
    if pattern.burst > 1:      # a draw in `burst` cycles, and half of them change sides
        assert cycles / changes == pytest.approx(2 * (pattern.burst + 0.5), rel=0.15)


def test_seeds():
    one, again, other = ([stall() for _ in range(99)] for stall in (
        Stall(1, STALLS["half"]), Stall(1, STALLS["half"]), Stall(2, STALLS["half"])))
    assert one == again != other


@pytest.mark.parametrize("before", STALLS)
@pytest.mark.parametrize("after", STALLS)
def test_every_word_arrives_once_and_in_order(before, after):
    words = list(range(100, 160))
    source, sink = played(words, STALLS[before], STALLS[after])
    assert sink.received == words and source.cycles == sink.cycles and source.waiting == 0
    assert before != "none" or after != "none" or sink.cycles == list(range(60))


def test_a_word_waits_for_its_cycle():
    assert played([1, 2, 3], earliest=[4, 4, 9])[1].cycles == [4, 5, 9]


def test_a_payload_that_does_not_stay_is_seen():
    words = list(range(20))
    with pytest.raises(AssertionError, match="which was not taken"):
        played(words, after=STALLS["half"], fault=lambda cycle, word: (word + cycle) % (1 << WIDTH))


def test_what_never_comes_is_told():
    ports = Wire()
    with pytest.raises(AssertionError, match="not done after 7 cycles; so far o 0"):
        asyncio.run(run(ports, [Sink(ports, "o")], lambda: False, 7))


class Reader(Wire):
    """Ports that ask for one address after the other, one a cycle, whatever comes back."""

    def __init__(self, addresses):
        super().__init__()
        self.addresses = addresses

    def get(self, name, undefined=None):
        if name == "request__valid":
            return int(self.cycle < len(self.addresses))
        if name == "request__payload":
            return self.addresses[self.cycle]
        return 1


def memory(addresses, latency, outstanding=None, words=range(50, 90)):
    ports = Reader(addresses)
    request, response = Sink(ports, "request"), Source(ports, "response")
    part = Memory(request, response, list(words), lambda: latency, outstanding)
    asyncio.run(run(ports, (request, response, part), lambda: len(response.cycles) == len(addresses), 99))
    return part


@pytest.mark.parametrize("latency", [1, 2, 30])
def test_a_memory_answers_in_order_after_its_latency(latency):
    part = memory([3, 0, 7], latency)
    assert part.addresses == [3, 0, 7]
    assert part.response.cycles == [latency, latency + 1, latency + 2]


def test_a_memory_is_held_to_its_bounds():
    memory([1, 2, 3], 10, outstanding=3)
    with pytest.raises(AssertionError, match="too many reads in flight"):
        memory([1, 2, 3], 10, outstanding=2)
    with pytest.raises(AssertionError, match="word 40 lies beyond the 40 of the memory"):
        memory([40], 1)


def test_pack():
    assert pack([(-1, 3), (0, 2), (5, 4)]) == 0b0101_00_111
    assert Pattern(0.5).burst == 1
