"""A script of ``sw.sim.engine`` played by cocotb: the same host, with protocol checks on the way."""

import random
from pathlib import Path

from sw.sim.engine import Run, Script
from verif.actors import Memory, Pattern, Sink, Source, Stall, step
from verif.ports import BenchPorts

__all__ = ["play"]


def _memory(request: Sink, response: Source, width: int, file, latency: int, jitter: int, seed: int):
    """A memory that holds the words of ``file``, raw bytes, each filled to a multiple of four."""
    size, drawn = -(-width // 32) * 4, random.Random(seed)
    raw = Path(file).read_bytes()
    return Memory(request, response, [int.from_bytes(raw[at:at + size], "little")
                                      for at in range(0, len(raw), size)],
                  lambda: latency + drawn.randint(0, jitter))


async def play(dut, script: Script, inputs, outputs) -> Run:
    """Play ``script`` on a started ``dut`` with these streams.

    Beyond what the compiled harness does, sinks check that an offered payload stays, and idle
    sources show random payloads.
    """
    seed, ports = script.lines[0], BenchPorts(dut)
    sources = {name: Source(ports, name, stall=Stall((seed, name))) for name in inputs}
    sinks = {name: Sink(ports, name, Stall((seed, name))) for name in outputs}
    ends, memories = sources | sinks, {}
    cycle, limit = 0, 10_000_000
    before, resets = dict.fromkeys(ends, 0), []    # transfers up to the last reset

    async def advance(live=True):
        nonlocal cycle
        await step(ports, (*ends.values(), *memories.values()), cycle, live=live)
        cycle += 1

    for line in script.lines[1:]:
        what, *words = line.split()
        if what == "push":
            sources[words[0]].offer(int(words[1], 16))
        elif what == "wait":
            start, end = cycle, ends[words[0]]
            while len(end.cycles) - before[words[0]] < int(words[1]):
                assert cycle - start < limit, (
                    f"waited {limit} cycles for transfer {words[1]} of {words[0]}; so far "
                    + ", ".join(f"{name} {len(e.cycles)}" for name, e in ends.items()))
                await advance()
        elif what == "idle":
            for _ in range(int(words[0])):
                await advance()
        elif what == "stall":
            name, probability, burst, number = words
            ends[name].stall = Stall((name, number), Pattern(float(probability), int(burst)))
        elif what == "reset":
            for part in ends.values():
                part.reset()
            before = {name: len(end.cycles) for name, end in ends.items()}
            resets.append(cycle)
            ports.set("rst", 1)
            for _ in range(int(words[0])):
                await advance(live=False)
            ports.set("rst", 0)
        elif what == "memory":
            request, response, *numbers = words[:5]
            file = line.split(" ", 6)[6]               # the rest of the line, spaces and all
            memories[request] = _memory(sinks[request], sources[response],
                                        ports.width(f"{response}__payload"), file, *map(int, numbers))
        elif what == "limit":
            limit = int(words[0])
        else:
            raise ValueError(f"unknown script line: {line}")
    return Run({name: sink.received for name, sink in sinks.items()},
               {name: end.cycles for name, end in ends.items()}, {}, resets, cycle)
