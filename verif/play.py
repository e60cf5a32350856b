"""A script of ``sw.sim.engine`` played by cocotb: the same host, with protocol checks on the way."""

import random
from collections import deque
from pathlib import Path

from sw.sim.engine import Run, Script
from verif.streams import Sink, Source, Stall, settle, tick

__all__ = ["play"]


class Memory:
    """Answers what a sink receives by a source: a word of ``file`` each, in order, ``latency`` to
    ``latency + jitter`` cycles later."""

    def __init__(self, request: Sink, response: Source, file, latency, jitter, seed):
        self.request, self.response = request, response
        self.latency, self.jitter, self.random = latency, jitter, random.Random(seed)
        size = -(-len(response.payload) // 32) * 4
        raw = Path(file).read_bytes()
        self.words = [int.from_bytes(raw[at:at + size], "little")
                      for at in range(0, len(raw), size)]
        self.due, self.seen = deque(), len(request.received)

    def take(self, cycle: int):
        """Take the requests of this cycle."""
        for address in self.request.received[self.seen:]:
            assert address < len(self.words), (
                f"stream {self.request.name}: word {address} lies beyond the {len(self.words)} of "
                f"the memory")
            self.due.append((cycle + self.latency + self.random.randint(0, self.jitter), address))
        self.seen = len(self.request.received)

    def drive(self, cycle: int):
        """Queue the answers that are due."""
        while self.due and self.due[0][0] <= cycle:
            self.response.queue.append(self.words[self.due.popleft()[1]])

    def reset(self):
        self.due.clear()


async def play(dut, script: Script, inputs, outputs) -> Run:
    """Play ``script`` on a started ``dut`` with these streams.

    Beyond what the compiled harness does, sinks check that an offered payload stays, and idle
    sources show random payloads.
    """
    seed = script.lines[0]
    sources = {name: Source(dut, name, Stall((seed, name))) for name in inputs}
    sinks = {name: Sink(dut, name, Stall((seed, name))) for name in outputs}
    ends, memories = sources | sinks, []
    cycle, limit = 0, 10_000_000
    before, resets = dict.fromkeys(ends, 0), []    # transfers up to the last reset

    async def step():
        nonlocal cycle
        for memory in memories:
            memory.drive(cycle)
        for end in ends.values():
            end.drive()
        await settle()
        if dut.rst.value == 0:
            for end in ends.values():
                end.sample(cycle)
            for memory in memories:
                memory.take(cycle)
        await tick(dut)
        cycle += 1

    for line in script.lines[1:]:
        what, *words = line.split()
        if what == "push":
            sources[words[0]].queue.append(int(words[1], 16))
        elif what == "wait":
            start, end = cycle, ends[words[0]]
            while len(end.cycles) - before[words[0]] < int(words[1]):
                assert cycle - start < limit, (
                    f"waited {limit} cycles for transfer {words[1]} of {words[0]}; so far "
                    + ", ".join(f"{name} {len(e.cycles)}" for name, e in ends.items()))
                await step()
        elif what == "idle":
            for _ in range(int(words[0])):
                await step()
        elif what == "stall":
            name, probability, burst, number = words
            ends[name].stall = Stall((name, number), float(probability), int(burst))
        elif what == "reset":
            for part in (*ends.values(), *memories):
                part.reset()
            before = {name: len(end.cycles) for name, end in ends.items()}
            resets.append(cycle)
            dut.rst.value = 1
            for _ in range(int(words[0])):
                await step()
            dut.rst.value = 0
        elif what == "memory":
            request, response, *numbers = words[:5]
            file = line.split(" ", 6)[6]               # the rest of the line, spaces and all
            memories.append(Memory(sinks[request], sources[response], file, *map(int, numbers)))
        elif what == "limit":
            limit = int(words[0])
        else:
            raise ValueError(f"unknown script line: {line}")
    return Run({name: sink.received for name, sink in sinks.items()},
               {name: end.cycles for name, end in ends.items()}, {}, resets, cycle)
