"""Ports of a component by their Verilog names, alike under both simulators.

What a block is played with is written once, as a coroutine over one of these; the native test
and the cocotb bench run it. A cycle is: ``set``, ``await settle()``, ``get``, ``await tick()``.
"""

import random

from gen.manifest import ports

__all__ = ["NativePorts", "BenchPorts"]


class NativePorts:
    """Ports under the Amaranth simulator, inside a testbench."""

    def __init__(self, ctx, component):
        self._ctx = ctx
        self._values = {name: value for name, _, _, value in ports(component)}

    def set(self, name: str, value: int):
        handle = self._values[name]
        self._ctx.set(handle, int(value) & ((1 << len(handle)) - 1))

    def get(self, name: str, undefined: int | None = None) -> int:
        """The bits of a port. ``undefined`` is for simulators of four values."""
        handle = self._values[name]
        return self._ctx.get(handle) & ((1 << len(handle)) - 1)

    def signed(self, name: str) -> int:
        """The value of a port as two's complement."""
        return _signed(self.get(name), self.width(name))

    def width(self, name: str) -> int:
        return len(self._values[name])

    async def settle(self):
        pass

    async def tick(self):
        await self._ctx.tick()


class BenchPorts:
    """Ports of a cocotb ``dut``."""

    def __init__(self, dut):
        from verif import cycle  # needs cocotb, the native side does not
        self._dut, self._cycle = dut, cycle

    def set(self, name: str, value: int):
        self._cycle.put(getattr(self._dut, name), value)

    def get(self, name: str, undefined: int | None = None) -> int:
        """The bits of a port. Where some are X it fails, or with ``undefined`` draws them from that
        seed."""
        value = getattr(self._dut, name).value
        if undefined is None or value.is_resolvable:
            return int(value)
        drawn = random.Random(undefined)
        return int("".join(bit if bit in "01" else drawn.choice("01") for bit in str(value)), 2)

    def signed(self, name: str) -> int:
        """The value of a port as two's complement."""
        return _signed(self.get(name), self.width(name))

    def width(self, name: str) -> int:
        return len(getattr(self._dut, name))

    async def settle(self):
        await self._cycle.settle()

    async def tick(self):
        await self._cycle.tick(self._dut)


def _signed(bits: int, width: int) -> int:
    return bits - (bits >> (width - 1) << width)
