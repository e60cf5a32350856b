"""Ports of a component by their Verilog names, alike under both simulators.

What a block is played with is written once, as a coroutine over one of these; the native test
and the cocotb bench run it. A cycle is: ``set``, ``await settle()``, ``get``, ``await tick()``.
"""

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

    def get(self, name: str) -> int:
        """The bits of a port."""
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
        from verif import streams  # needs cocotb, the native side does not
        self._dut, self._streams = dut, streams

    def set(self, name: str, value: int):
        self._streams.put(getattr(self._dut, name), value)

    def get(self, name: str) -> int:
        """The bits of a port."""
        return int(getattr(self._dut, name).value)

    def signed(self, name: str) -> int:
        """The value of a port as two's complement."""
        return _signed(self.get(name), self.width(name))

    def width(self, name: str) -> int:
        return len(getattr(self._dut, name))

    async def settle(self):
        await self._streams.settle()

    async def tick(self):
        await self._streams.tick(self._dut)


def _signed(bits: int, width: int) -> int:
    return bits - (bits >> (width - 1) << width)
