"""What benches share: clock and reset, valid/ready sources and sinks, seeded stalls.

A cycle runs from one falling edge to the next. A bench drives at its start, ``await settle()``,
looks at the outputs of this same cycle, and ``await tick(dut)``.
"""

import random

from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

from verif.bench import inputs

__all__ = ["start", "settle", "tick", "put", "array", "signed", "Stall",
           "STALLS", "Source", "Sink", "outputs_are_known", "run_streams"]


async def start(dut, reset_cycles: int = 1):
    """Start the clock, hold reset with all inputs at 0, and return in the first cycle after."""
    for name in inputs():
        getattr(dut, name).value = 0
    if hasattr(dut, "clk"):
        Clock(dut.clk, 2, unit="ns").start(start_high=False)
        if hasattr(dut, "rst"):
            dut.rst.value = 1
        for _ in range(reset_cycles):
            # From an unknown clock its first 0 is a falling edge as well.
            await RisingEdge(dut.clk)
            await FallingEdge(dut.clk)
        if hasattr(dut, "rst"):
            dut.rst.value = 0


async def settle():
    """Let combinational logic follow what was driven; outputs of this cycle can then be read."""
    await ReadOnly()


async def tick(dut):
    """To the start of the next cycle."""
    await FallingEdge(dut.clk)


def put(handle, value: int):
    """Drive a port with a number of either sign, reduced to the port's width."""
    handle.value = int(value) & ((1 << len(handle)) - 1)


def array(dut, name: str, *shape: int):
    """Handles of an array port: ``array(dut, "x", 3)`` is ``[dut.x__0, dut.x__1, dut.x__2]``."""
    if not shape:
        return getattr(dut, name)
    return [array(dut, f"{name}__{i}", *shape[1:]) for i in range(shape[0])]


def signed(handle) -> int:
    """The value of a port as two's complement."""
    return handle.value.to_signed()


class Stall:
    """Decides, cycle by cycle, whether one side of a stream pauses.

    ``probability`` of a pause; pauses and runs last ``burst`` cycles on average.
    """

    def __init__(self, seed, probability: float = 0.0, burst: int = 1):
        self.random = random.Random(repr(seed))
        self.probability, self.burst = probability, burst
        self._paused, self._left = False, 0

    def __call__(self) -> bool:
        if self.probability == 0:
            return False
        if self._left == 0:
            self._paused = self.random.random() < self.probability
            self._left = 1 if self.burst == 1 else 1 + int(self.random.expovariate(1 / self.burst))
        self._left -= 1
        return self._paused


STALLS = {"none": (0.0, 1), "light": (0.1, 1), "half": (0.5, 1), "heavy": (0.9, 1),
          "bursts": (0.5, 20)}
"""Stall patterns a stream is tried with: ``Stall(seed, *STALLS[name])``."""


class Source:
    """Drives a stream input: payloads of :attr:`queue`, in order, pausing as ``stall`` says.

    Payload and valid stay while ready is low; without valid the payload is random.
    """

    def __init__(self, dut, name: str, stall: Stall):
        self.payload = getattr(dut, f"{name}__payload")
        self.valid = getattr(dut, f"{name}__valid")
        self.ready = getattr(dut, f"{name}__ready")
        self.stall, self.queue, self.cycles = stall, [], []
        self._offered = False

    def drive(self):
        if not self._offered:
            self._offered = bool(self.queue) and not self.stall()
            value = (self.queue[0] if self._offered
                     else self.stall.random.getrandbits(len(self.payload)))
            put(self.payload, value)
            self.valid.value = int(self._offered)

    def sample(self, cycle: int):
        if self._offered and self.ready.value == 1:
            self.queue.pop(0)
            self.cycles.append(cycle)
            self._offered = False

    def reset(self):
        self.queue.clear()
        self._offered = False


class Sink:
    """Takes a stream output into :attr:`received`, with :attr:`cycles`, pausing as ``stall`` says.

    Fails where a payload that was not taken changes or goes away, and where valid is not known. In four
    values a part of a payload may be X where a document says that it is undefined. It counts as random
    bits, others in each transfer, so a result that should be there is found wrong.
    """

    def __init__(self, dut, name: str, stall: Stall):
        self.name, self.stall = name, stall
        self.payload = getattr(dut, f"{name}__payload")
        self.valid = getattr(dut, f"{name}__valid")
        self.ready = getattr(dut, f"{name}__ready")
        self.received, self.cycles, self._waiting, self._ready = [], [], None, False

    def drive(self):
        self._ready = not self.stall()
        self.ready.value = int(self._ready)

    def sample(self, cycle: int):
        valid = self.valid.value
        assert valid.is_resolvable, f"stream {self.name}: valid is {valid} in cycle {cycle}"
        offered = self._known(str(self.payload.value)) if valid == 1 else None
        assert self._waiting is None or offered == self._waiting, (
            f"stream {self.name}: {self._waiting:#x} was offered and not taken; "
            f"cycle {cycle} offers {offered}")
        self._waiting = None if self._ready else offered
        if self._ready and offered is not None:
            self.received.append(offered)
            self.cycles.append(cycle)

    def _known(self, bits: str) -> int:
        """The payload as a number; the same for all cycles in which one transfer waits."""
        if not set(bits) <= {"0", "1"}:
            drawn = random.Random(len(self.cycles))
            bits = "".join(bit if bit in "01" else drawn.choice("01") for bit in bits)
        return int(bits, 2)

    def reset(self):
        self._waiting = None


async def outputs_are_known(dut, outputs, inputs):
    """Fail in the first cycle in which a valid or ready of the engine is neither 0 nor 1, or a
    payload is not known beside its valid. For a task that runs beside the test."""
    cycle = 0
    while True:
        await settle()
        for name in inputs:
            ready = getattr(dut, f"{name}__ready").value
            assert ready.is_resolvable, f"{name}.ready is {ready} in cycle {cycle}"
        for name in outputs:
            valid = getattr(dut, f"{name}__valid").value
            payload = getattr(dut, f"{name}__payload").value
            assert valid.is_resolvable, f"{name}.valid is {valid} in cycle {cycle}"
            assert valid == 0 or payload.is_resolvable, f"{name} is {payload} in cycle {cycle}"
        await tick(dut)
        cycle += 1


async def run_streams(dut, ends, until, limit: int) -> int:
    """Run sources and sinks until ``until()``; fail after ``limit`` cycles. Gives the cycles."""
    for cycle in range(limit):
        if until():
            return cycle
        for end in ends:
            end.drive()
        await settle()
        for end in ends:
            end.sample(cycle)
        await tick(dut)
    waiting = {type(e).__name__ + " " + e.valid._name: len(getattr(e, "queue", e.cycles))
               for e in ends}
    raise AssertionError(f"not done after {limit} cycles: {waiting}")
