"""Port values by cycle, and their player, for blocks without back-pressure.

Native tests and cocotb benches play the same tables.
"""

import random
from collections import Counter, defaultdict

from verif.ports import NativePorts

__all__ = ["PortTable", "play_native"]


class PortTable:
    """What to drive when, and what must show when.

    ``drive[cycle][port, index]`` are inputs and ``expect[cycle][port, index]`` outputs, raw
    integers of either sign; the index is None where the port is no array. ``static`` inputs stay.
    ``total`` is what each of the outputs ``events`` must sum up to over all cycles.

    An input that a cycle does not drive is 0 if it is one of ``control`` and anything otherwise.
    """

    def __init__(self, control=(), events=()):
        self.drive, self.expect = defaultdict(dict), defaultdict(dict)
        self.static, self.total = {}, Counter()
        self.control, self.events = frozenset(control), events

    @property
    def end(self):
        """First cycle after everything driven and expected."""
        return max(*self.drive, *self.expect) + 4

    async def play(self, ports, seed):
        """Play the table on ``ports`` (see ``verif.ports``); a difference is an assertion."""
        rng = random.Random(seed)
        total = Counter()
        before = {key: None for row in self.drive.values() for key in row}

        def put(key, value):
            ports.set(_name(key), value)

        for key, value in self.static.items():
            put(key, value)
        for _ in range(2):
            await ports.tick()
        for cycle in range(self.end):
            row = self.drive.get(cycle, {})
            for key in [key for key in before if key not in row]:
                del before[key]
                put(key, 0 if key[0] in self.control else rng.getrandbits(62))
            for key, value in row.items():
                if before.get(key) != value:
                    before[key] = value
                    put(key, value)
            await ports.settle()
            for key, want in self.expect.get(cycle, {}).items():
                name = _name(key)
                got = ports.get(name)
                if got != want & ((1 << ports.width(name)) - 1):
                    raise AssertionError(f"seed {seed}: {name} is {ports.signed(name)} in cycle "
                                         f"{cycle}, must be {want} modulo its width")
            for name in self.events:
                total[name] += ports.get(name)
            await ports.tick()
        for name in self.events:
            assert total[name] == self.total[name], \
                f"seed {seed}: {name} sums up to {total[name]}, must be {self.total[name]}"


def play_native(component, table, seed):
    """Play a table in the Amaranth simulator."""
    from amaranth.sim import Simulator

    async def bench(ctx):
        await table.play(NativePorts(ctx, component), seed)

    sim = Simulator(component)
    sim.add_clock(1e-9)
    sim.add_testbench(bench)
    sim.run()


def _name(key):
    name, index = key
    return name if index is None else f"{name}__{index}"
