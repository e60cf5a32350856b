"""What the projection is played with, natively and on Verilator: tokens in, z out."""

import numpy as np

from model.lookup import bh4
from model.lookup.job import Saturation
from model.lookup.layout import Target, weight_loads
from model.lookup.projection_cycles import z_cycles
from model.lookup.timing import projection_interval, z_lanes
from verif import actors
from verif.actors import FREE, Sink, Source, Stall, pack

__all__ = ["load", "z_words", "x_words", "run"]

PORTS = {Target.WEIGHT: "w", Target.Z_BIAS: "b", Target.SHIFT: "p"}
EVENTS = {"sat_block": Saturation.BLOCK, "sat_hadamard": Saturation.HADAMARD,
          "sat_z": Saturation.Z}


async def load(ports, cfg, weights, job):
    """Write weights, biases and shifts, and hold what belongs to the job."""
    for command in weight_loads(cfg, weights):
        port = PORTS.get(command.target)
        if port is None:
            continue
        ports.set(f"{port}_en", 1)
        for at, beat in enumerate(command.beats):
            ports.set(f"{port}_addr", command.base + at)
            ports.set(f"{port}_data", beat)
            await ports.tick()
        ports.set(f"{port}_en", 0)
    for name in ("gain", "skip", "shift_skip"):
        ports.set(name, getattr(job, name))


def x_words(cfg, x):
    """Tokens as words of their stream."""
    fmt = cfg.fmt.x
    return [pack([(v, fmt.width) for v in beat]) for beat in x.reshape(-1, 8)]


def z_words(cfg, z):
    """Soft codes as words of their stream; what is no code is 0."""
    lanes, fmt, words = z_lanes(cfg), cfg.fmt.z, []
    for token in z:
        for at in range(0, cfg.codes, lanes):
            part = np.zeros(lanes, dtype=np.int64)
            part[:len(token[at:at + lanes])] = token[at:at + lanes]
            words.append(pack([(v, fmt.width) for v in part] + [(at + lanes >= cfg.codes, 1)]))
    return words


async def run(ports, cfg, weights, job, seed, stalls=(FREE, FREE)):
    """Play the tokens of a job; asserts z and the saturations; without stalls also
    the cycle of every beat. Gives the cycles of x and of z."""
    z, saturated = bh4.project(cfg, job.x, weights, job.gain, job.skip, job.shift_skip)
    want = z_words(cfg, z)
    source = Source(ports, "x", x_words(cfg, job.x), Stall((seed, "x"), stalls[0]))
    sink = Sink(ports, "z", Stall((seed, "z"), stalls[1]))
    count, quiet = dict.fromkeys(EVENTS, 0), 0

    def watch(_):
        nonlocal quiet
        for name in count:
            count[name] += ports.get(name)
        quiet = 0 if ports.get("busy") else quiet + 1

    # To the end, so that a word too many is seen.
    await actors.run(ports, (source, sink), lambda: len(sink.received) >= len(want) and quiet > 3,
               500 + 20 * len(want) + 2 * len(job.x) * projection_interval(cfg), watch)
    for at, (got, expected) in enumerate(zip(sink.received, want, strict=True)):
        assert got == expected, f"seed {seed}: word {at} of z is {got:#x}, not {expected:#x}"
    for name, kind in EVENTS.items():
        assert count[name] == saturated.get(kind, 0), f"seed {seed}: {name}"
    if stalls == (FREE, FREE):
        assert sink.cycles == z_cycles(cfg, len(job.x)), f"seed {seed}: cycles of z"
    return source.cycles, sink.cycles
