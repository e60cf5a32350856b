"""What plays the streams of a block or an engine: stalls, sources, sinks, memories.

There is one set of actors. They work on :mod:`verif.ports`, so the native tests and the cocotb benches
run the same ones. A cycle of theirs: all ``drive(cycle)``, the ports settle, all ``sample(cycle)``.
Payloads are packed words.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["FREE", "HEAVY", "STALLED", "STALLS", "Memory", "Pattern", "Sink", "Source", "Stall", "pack",
           "run"]


@dataclass(frozen=True)
class Pattern:
    """How one side of a stream pauses: ``probability`` of the time, in bursts of ``burst`` cycles on
    average."""

    probability: float
    burst: int = 1


STALLS = {"none": Pattern(0.0), "light": Pattern(0.1), "half": Pattern(0.5), "heavy": Pattern(0.9),
          "bursts": Pattern(0.5, 20)}
"""The patterns that streams are tried with."""

FREE, STALLED, HEAVY = (STALLS[name] for name in ("none", "half", "heavy"))


class Stall:
    """Whether one side of a stream pauses in a cycle; another ``seed``, other cycles.

    The distribution is that of the compiled harness (``sw/sim/harness``): pauses and runs last a cycle,
    or one more than an exponential draw of mean ``burst``.
    """

    def __init__(self, seed=0, pattern: Pattern = FREE):
        self.random, self._pattern = random.Random(repr(seed)), pattern
        self._paused, self._left = False, 0

    def __call__(self) -> bool:
        burst = self._pattern.burst
        if self._pattern.probability == 0:
            return False
        if self._left == 0:
            self._paused = self.random.random() < self._pattern.probability
            self._left = 1 if burst == 1 else 1 + int(self.random.expovariate(1 / burst))
        self._left -= 1
        return self._paused


class Source:
    """Offers words in order; payload and valid stay until they are taken, and between them the payload
    is random. ``cycles`` are those of the transfers.

    ``earliest`` (optional) gives the first cycle in which each of ``words`` may be offered.
    """

    def __init__(self, ports, name: str, words: Sequence[int] = (), stall: Stall | None = None,
                 earliest: Sequence[int] | None = None):
        self.name, self.stall = name, stall or Stall()
        self._ports, self._payload, self._valid = ports, f"{name}__payload", f"{name}__valid"
        self._queue = deque(zip(words, earliest or [0] * len(words), strict=True))
        self.cycles, self._offered, self._shown = [], False, None

    @property
    def waiting(self) -> int:
        """Words that have not been taken."""
        return len(self._queue)

    def offer(self, word: int, earliest: int = 0):
        """One more word, from the cycle ``earliest`` on."""
        self._queue.append((word, earliest))

    def drive(self, cycle: int):
        if self._offered:
            return
        due = bool(self._queue) and self._queue[0][1] <= cycle
        self._offered = due and not self.stall()
        if self._offered or self._shown is not False:
            word = (self._queue[0][0] if self._offered
                    else self.stall.random.getrandbits(self._ports.width(self._payload)))
            self._ports.set(self._payload, word)
            self._ports.set(self._valid, int(self._offered))
            self._shown = self._offered

    def sample(self, cycle: int):
        if self._offered and self._ports.get(f"{self.name}__ready"):
            self._queue.popleft()
            self.cycles.append(cycle)
            self._offered = False

    def reset(self):
        """Forget what is queued."""
        self._queue.clear()
        self._offered = False

    def rest(self):
        """Offer nothing any more."""
        self._ports.set(self._valid, 0)


class Sink:
    """Takes words into ``received``, in ``cycles``. Fails where a word that was not taken changes or
    goes away.

    In four values a part of a payload may be X where a document says that it is undefined. It counts as
    random bits, others in each transfer, so a result that should be there is found wrong.
    """

    def __init__(self, ports, name: str, stall: Stall | None = None):
        self.name, self.stall, self._ports = name, stall or Stall(), ports
        self.received, self.cycles, self._waiting, self._ready = [], [], None, None

    def drive(self, cycle: int):
        ready = not self.stall()
        if ready != self._ready:
            self._ports.set(f"{self.name}__ready", int(ready))
            self._ready = ready

    def sample(self, cycle: int):
        ports, name = self._ports, self.name
        word = (ports.get(f"{name}__payload", undefined=len(self.cycles)) if ports.get(f"{name}__valid")
                else None)
        assert self._waiting is None or word == self._waiting, \
            f"{name} offered {self._waiting:#x}, which was not taken, and {word} in cycle {cycle}"
        self._waiting = None if self._ready else word
        if self._ready and word is not None:
            self.received.append(word)
            self.cycles.append(cycle)

    def reset(self):
        """Expect nothing of what was offered."""
        self._waiting = None

    def rest(self):
        """Take nothing any more."""
        self._ports.set(f"{self.name}__ready", 0)


class Memory:
    """Answers the addresses of ``request`` with its ``words`` on ``response``, in order, each
    ``latency()`` cycles later at the earliest. Drive and sample the two ends before it.

    Fails for an address beyond the words, and where more than ``outstanding`` words are asked for
    ahead. ``addresses`` is what was read.
    """

    def __init__(self, request: Sink, response: Source, words: Sequence[int],
                 latency: Callable[[], int], outstanding: int | None = None):
        self.request, self.response, self._words = request, response, words
        self._latency, self._outstanding, self._seen = latency, outstanding, len(request.received)

    @property
    def addresses(self) -> list[int]:
        """What was read, in order."""
        return self.request.received

    def drive(self, cycle: int):
        """Nothing: its source does."""

    def sample(self, cycle: int):
        for address in self.addresses[self._seen:]:
            assert address < len(self._words), (
                f"{self.request.name}: word {address} lies beyond the {len(self._words)} of the memory")
            self.response.offer(self._words[address], cycle + self._latency())
        self._seen = len(self.addresses)
        assert self._outstanding is None or self.response.waiting <= self._outstanding, \
            "too many reads in flight"

    def reset(self):
        """Nothing: its source forgets the answers."""

    def rest(self):
        """Nothing: its source does."""


def pack(fields) -> int:
    """A payload of ``(value, width)`` fields, lowest first; values of either sign."""
    word, at = 0, 0
    for value, width in fields:
        word |= (int(value) & ((1 << width) - 1)) << at
        at += width
    return word


async def step(ports, actors, cycle: int, watch=None, live: bool = True) -> None:
    """One cycle of the actors; ``watch(cycle)`` looks at it. Without ``live`` nothing is transferred."""
    for actor in actors:
        actor.drive(cycle)
    await ports.settle()
    for actor in actors if live else ():
        actor.sample(cycle)
    if watch:
        watch(cycle)
    await ports.tick()


async def run(ports, actors, until, limit: int, watch=None, stop: int | None = None) -> int:
    """Run the actors until ``until()``. Gives the cycles.

    After ``stop`` cycles it is over in any case; after ``limit`` it is a failure.
    """
    for cycle in range(limit):
        if cycle == stop or until():
            for actor in actors:
                actor.rest()
            return cycle
        await step(ports, actors, cycle, watch)
    raise AssertionError(f"not done after {limit} cycles; so far " + ", ".join(
        f"{end.name} {len(end.cycles)}" for end in actors if not isinstance(end, Memory)))
