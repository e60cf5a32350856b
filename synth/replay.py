"""A mapped module played to recorded inputs: how often each net toggles, and whether its outputs are right.

Instances stand in the bits of a word, so 64 of them are evaluated at once; cycles follow each other, because
flip-flops need the cycle before. Logic takes no time here: a net that would change twice within a cycle
toggles once or not at all, so glitches are not counted.
"""

import ctypes
import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np

from model.errors import ConfigError
from sw.io.build_cache import scratch, settle
from sw.io.toolchain import cache_dir, compiler
from synth.cells import Library
from synth.logic import OR, Steps
from synth.netlist import ONE, Netlist

__all__ = ["Player", "Replay", "replayer"]

FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC")


@dataclass(frozen=True)
class Replay:
    """What a module did. ``toggles`` and ``highs`` (phases, nets) count over all instances: changes of a net,
    and cycles in which it was 1. ``wrong`` has, by output port, bits that were not as recorded, of
    ``compared`` in all; ``cycles`` (phases,) is how long each phase was, ``instances`` how many there were.
    """

    toggles: np.ndarray
    highs: np.ndarray
    wrong: dict[str, int]
    compared: int
    cycles: np.ndarray
    instances: int


class Player:
    """A mapped module as steps. ``sources`` are the nets that come from outside, by (child, port): the
    ports of the module have the child "", those of what is in it its name."""

    def __init__(self, netlist: Netlist, library: Library):
        self.netlist, nets = netlist, netlist.nets
        self.zero, self.one, fresh = nets, nets + 1, count(nets + 2)
        self.sources: dict[tuple[str, str], tuple[int, ...]] = {
            ("", port): bits for port, bits in netlist.inputs.items() if port != "clk"}
        made, self.states, after = {}, [], []
        for cell in netlist.cells:
            if cell.kind not in library.cells:
                continue
            kind = library.cells[cell.kind]
            pins = {pin: self._value(bits[0]) for pin, bits in cell.pins.items()}
            needs = [value for pin, value in pins.items() if kind.pins[pin].direction == "input"]
            names = dict(pins)
            if kind.flip_flop:
                state, inverse, following = kind.flip_flop
                names[state], needs = next(fresh), []
                ahead = Steps(names, fresh, self.zero, self.one)
                names[inverse] = next(fresh)
                before = [(3, names[inverse], names[state], names[state])]
                after.append((names[state], ahead.of(following), ahead.ops))
            elif kind.sequential:
                raise ConfigError(f"module {netlist.name}: cell {cell.kind} cannot be replayed, must be "
                                  "plain logic or a flip-flop without clear and preset")
            else:
                before = []
            for pin in cell.pins:
                if kind.pins[pin].direction == "output" and pins[pin] < nets:
                    steps = Steps(names, fresh, self.zero, self.one)
                    value = steps.of(kind.pins[pin].function)
                    made[pins[pin]] = (needs, [*before, *steps.ops, (OR, pins[pin], value, value)])
        for cell in netlist.cells:
            if cell.kind not in library.cells and cell.name:
                self.sources |= {(cell.name, pin): bits for pin, bits in cell.pins.items()
                                 if any(net >= 0 and net not in made for net in bits)}
        self.ops = self._ordered(made)
        for state, following, ops in after:
            self.ops += ops
            self.states.append((state, following, next(fresh)))
        self.values = next(fresh)

    def _value(self, net: int) -> int:
        return net if net >= 0 else self.one if net == ONE else self.zero

    def _ordered(self, made) -> list[tuple[int, int, int, int]]:
        """The steps, each net after those it is made of. Raises ConfigError for a loop."""
        done, ops = set(), []
        for first in made:
            way = [(first, iter(made[first][0]))]
            open_ = {first}
            while way:
                net, needs = way[-1]
                following = next((need for need in needs if need in made and need not in done), None)
                if net in done or following is None:
                    if net not in done:
                        done.add(net)
                        ops += made[net][1]
                    open_.discard(net)
                    way.pop()
                elif following in open_:
                    raise ConfigError(f"module {self.netlist.name}: a loop of cells without a register")
                else:
                    open_.add(following)
                    way.append((following, iter(made[following][0])))
        return ops

    def run(self, rows: np.ndarray, places: Mapping[tuple[str, str], np.ndarray], phases: np.ndarray,
            number: int, check: int | None = 0) -> Replay:
        """Play a record. ``rows`` (cycles, bytes) has bits, ``places`` says by (child, port) which of a row
        are those of a port (instances, width), counted from the lowest of the first byte; ``phases``
        (cycles,) is the phase of each cycle, below ``number``. Outputs are compared with the record from
        cycle ``check`` on, unless it is None; those that still depend on what the flip-flops were at first
        are left out. What is not recorded is 0.
        """
        instances, rows = len(next(iter(places.values()))), np.ascontiguousarray(rows, np.uint8)
        inputs, given = self._columns({key: bits for key, bits in self.sources.items() if key in places},
                                      places)
        outs = {("", port): bits for port, bits in self.netlist.outputs.items()
                if check is not None and ("", port) in places}
        outputs, expected = self._columns(outs, places, outputs=True)
        nets = self.netlist.nets
        values, last = np.zeros(self.values + 1, np.uint64), np.zeros(nets, np.uint64)
        values[self.one] = np.uint64(2**64 - 1)
        other = values.copy()
        other[[state for state, *_ in self.states]] = np.uint64(2**64 - 1)
        toggles, highs = np.zeros((number, nets), np.int64), np.zeros((number, nets), np.int64)
        wrong, compared = np.zeros(len(outputs), np.int64), np.zeros(len(outputs), np.int64)
        ops, states = (np.array(steps, np.int32).reshape(-1, width) for steps, width in
                       ((self.ops, 4), (self.states, 3)))
        phases = np.ascontiguousarray(phases, np.uint8)
        cycles, size = (ctypes.c_int64(length) for length in rows.shape)
        replayer().hl_replay(
            cycles, ctypes.c_int64(nets), _at(ops), ctypes.c_int64(len(ops)), _at(states),
            ctypes.c_int64(len(states)), _at(inputs), ctypes.c_int64(len(inputs)), _at(rows), size,
            ctypes.c_int64(instances), _at(given), _at(phases), _at(values), _at(other), _at(last),
            _at(toggles), _at(highs), _at(outputs), ctypes.c_int64(len(outputs)), _at(expected),
            ctypes.c_int64(check or 0), _at(wrong), _at(compared))
        ends = np.cumsum([len(bits) for bits in outs.values()])[:-1]
        found = {port: int(bits.sum()) for (_, port), bits in zip(outs, np.split(wrong, ends))}
        return Replay(toggles, highs, found, int(compared.sum()), np.bincount(phases, minlength=number),
                      instances)

    def _columns(self, ports, places, outputs: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Values of nets, and the place of each in a row for every instance (nets, instances). A net that
        is tied is the value of the tie where it is an output, and left out where it is an input."""
        kept = [(self._value(net), places[key][:, at]) for key, bits in ports.items()
                for at, net in enumerate(bits) if net >= 0 or outputs]
        return (np.array([net for net, _ in kept], np.int32),
                np.ascontiguousarray([where for _, where in kept], np.int32))


def _at(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


@cache
def replayer() -> ctypes.CDLL:
    """The compiled loop. Raises :class:`model.errors.ConfigError` where there is no compiler."""
    source, command = Path(__file__).with_name("replay.cpp"), compiler()
    digest = hashlib.sha256(repr((source.read_text(), FLAGS, command)).encode()).hexdigest()[:12]
    folder = cache_dir() / f"replay-{digest}"
    if not (folder / "replay.so").exists():
        with scratch(folder.parent) as work:
            try:
                run = subprocess.run([*command, *FLAGS, "-o", work / "replay.so", source], text=True,
                                     capture_output=True, errors="replace")
            except OSError as error:
                raise ConfigError(f"energy needs a C++ compiler; {command[0]!r}: {error}") from None
            if run.returncode:
                raise ConfigError(f"energy needs a C++ compiler; {command[0]} failed: "
                                  f"{' '.join(run.stderr.split())[-300:]}")
            settle(work, folder, "replay.so")
    return ctypes.CDLL(str(folder / "replay.so"))
