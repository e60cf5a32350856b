"""Streams and a table memory over ``verif.ports``, for blocks with back-pressure.

Native tests and cocotb benches run the same actors. Payloads are packed words.
"""

import random
from collections import deque

__all__ = ["Stall", "Source", "Sink", "TableMemory", "play", "pack"]


def pack(fields) -> int:
    """A payload of ``(value, width)`` fields, lowest first; values of either sign."""
    word, at = 0, 0
    for value, width in fields:
        word |= (int(value) & ((1 << width) - 1)) << at
        at += width
    return word


class Stall:
    """Whether one side of a stream pauses: bursts of random length, ``probability`` of the time."""

    def __init__(self, seed, probability: float = 0.0, burst: int = 1):
        self.random = random.Random(repr(seed))
        self._probability, self._burst, self._left, self._paused = probability, burst, 0, False

    def __call__(self) -> bool:
        if self._left == 0:
            self._paused = self.random.random() < self._probability
            self._left = self.random.randint(1, 2 * self._burst - 1)
        self._left -= 1
        return self._paused


class Source:
    """Offers the words of ``queue`` in order; payload and valid stay until they are taken.

    ``cycles`` are those of the transfers. ``earliest`` (optional) gives the first cycle in which
    each word may be offered.
    """

    def __init__(self, ports, name, words, stall=None, earliest=None):
        self._ports, self._name, self._stall = ports, name, stall or Stall(0)
        self.queue, self.earliest = deque(words), deque(earliest or ())
        self.cycles, self._offered, self._shown = [], False, None

    def drive(self, cycle):
        if not self._offered:
            due = not self.earliest or self.earliest[0] <= cycle
            self._offered = bool(self.queue) and due and not self._stall()
            width = self._ports.width(f"{self._name}__payload")
            shown = self.queue[0] if self._offered else None
            if shown is not None or self._shown is not None or cycle == 0:
                self._ports.set(f"{self._name}__payload",
                                self._stall.random.getrandbits(width) if shown is None else shown)
                self._ports.set(f"{self._name}__valid", int(self._offered))
            self._shown = shown

    def sample(self, cycle):
        if self._offered and self._ports.get(f"{self._name}__ready"):
            self.queue.popleft()
            if self.earliest:
                self.earliest.popleft()
            self.cycles.append(cycle)
            self._offered = False

    def rest(self):
        """Offer nothing any more."""
        self._ports.set(f"{self._name}__valid", 0)


class Sink:
    """Takes words into ``received``, in ``cycles``; what is offered must stay until it is taken."""

    def __init__(self, ports, name, stall=None):
        self._ports, self._name, self._stall = ports, name, stall or Stall(0)
        self.received, self.cycles, self._waiting, self._ready = [], [], None, None

    def drive(self, cycle):
        ready = not self._stall()
        if ready != self._ready:
            self._ports.set(f"{self._name}__ready", int(ready))
            self._ready = ready

    def sample(self, cycle):
        ports, name = self._ports, self._name
        word = ports.get(f"{name}__payload") if ports.get(f"{name}__valid") else None
        assert self._waiting is None or word == self._waiting, \
            f"{name} offered {self._waiting:#x}, which was not taken, and {word} in cycle {cycle}"
        self._waiting = None if self._ready else word
        if self._ready and word is not None:
            self.received.append(word)
            self.cycles.append(cycle)

    def rest(self):
        """Take nothing any more."""
        self._ports.set(f"{self._name}__ready", 0)


class TableMemory:
    """Answers ``request`` with ``response`` in order, ``latency()`` cycles later at the earliest.

    Checks that no more than ``outstanding`` beats are asked for ahead; ``addresses`` were read.
    """

    def __init__(self, ports, beats, latency, outstanding, seed=0, stalls=(0.0, 1)):
        self.requests = Sink(ports, "request", Stall((seed, "request"), *stalls))
        self.responses = Source(ports, "response", (), Stall((seed, "response"), *stalls))
        self._beats, self._latency, self._outstanding = beats, latency, outstanding

    @property
    def addresses(self):
        """What was read, in order."""
        return self.requests.received

    def drive(self, cycle):
        self.requests.drive(cycle)
        self.responses.drive(cycle)

    def sample(self, cycle):
        before = len(self.requests.received)
        self.requests.sample(cycle)
        self.responses.sample(cycle)
        if len(self.requests.received) > before:
            self.responses.queue.append(self._beats[self.requests.received[-1]])
            self.responses.earliest.append(cycle + self._latency())
        assert len(self.responses.queue) <= self._outstanding, "too many reads in flight"

    def rest(self):
        self.requests.rest()
        self.responses.rest()


async def play(ports, actors, until, limit, watch=None, stop=None) -> int:
    """Run the actors until ``until()``; ``watch(cycle)`` looks at each cycle. Gives the cycles.

    After ``stop`` cycles it is over in any case; after ``limit`` it is a failure.
    """
    for cycle in range(limit):
        if cycle == stop or until():
            for actor in actors:
                actor.rest()
            return cycle
        for actor in actors:
            actor.drive(cycle)
        await ports.settle()
        for actor in actors:
            actor.sample(cycle)
        if watch:
            watch(cycle)
        await ports.tick()
    raise AssertionError(f"not done after {limit} cycles")
