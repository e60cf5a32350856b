"""A script of ``verif.engine`` played by cocotb: the same host, with protocol checks on the way."""

from verif.engine import Run, Script
from verif.streams import Sink, Source, Stall, settle, tick

__all__ = ["play"]


async def play(dut, script: Script, inputs, outputs) -> Run:
    """Play ``script`` on a started ``dut`` with these streams.

    Beyond what the compiled harness does, sinks check that an offered payload stays, and idle
    sources show random payloads.
    """
    seed = script.lines[0]
    sources = {name: Source(dut, name, Stall((seed, name))) for name in inputs}
    sinks = {name: Sink(dut, name, Stall((seed, name))) for name in outputs}
    ends = sources | sinks
    cycle, limit = 0, 10_000_000

    async def step():
        nonlocal cycle
        for end in ends.values():
            end.drive()
        await settle()
        if dut.rst.value == 0:
            for end in ends.values():
                end.sample(cycle)
        await tick(dut)
        cycle += 1

    for line in script.lines[1:]:
        what, *words = line.split()
        if what == "push":
            sources[words[0]].queue.append(int(words[1], 16))
        elif what == "wait":
            start, end = cycle, ends[words[0]]
            while len(end.cycles) < int(words[1]):
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
            for end in ends.values():
                end.reset()
            dut.rst.value = 1
            for _ in range(int(words[0])):
                await step()
            dut.rst.value = 0
        elif what == "limit":
            limit = int(words[0])
        else:
            raise ValueError(f"unknown script line: {line}")
    return Run({name: sink.received for name, sink in sinks.items()},
               {name: end.cycles for name, end in ends.items()}, {}, cycle)
