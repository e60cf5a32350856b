"""Projection on Verilator: random and extreme layers, stalls, reset within a token."""

import cocotb
import numpy as np

from model.lookup.stimulus import patterned_job, random_job
from verif.actors import FREE, STALLED, STALLS
from verif.bench import config, seed
from verif.cycle import start
from verif.lookup import projection_program
from verif.ports import BenchPorts

BURSTS = STALLS["bursts"]


async def play(dut, layers):
    """Load and play layers one after the other."""
    ports = BenchPorts(dut)
    for layer, stalls in layers:
        await projection_program.load(ports, config(), *layer)
        await projection_program.run(ports, config(), *layer, seed(), stalls)


@cocotb.test()
async def layers(dut):
    """Every stall pattern, with and without saturations."""
    cfg, rng = config(), np.random.default_rng(seed())
    await start(dut)
    await play(dut, [(random_job(cfg, rng, int(rng.integers(1, 9)), saturating=bool(at % 2)),
                           stalls) for at, stalls in enumerate([
                               (FREE, FREE), (STALLED, FREE), (FREE, STALLED), (STALLED, STALLED),
                               (FREE, BURSTS), (BURSTS, FREE)])])


@cocotb.test()
async def corners(dut):
    """Operands at the ends of their formats, zeros, z at the ends and around zero."""
    cfg, rng = config(), np.random.default_rng(seed() + 1)
    await start(dut)
    await play(dut, [(patterned_job(cfg, rng, pattern, 3), (FREE, STALLED))
                          for pattern in ("extremes", "zero", "edges", "largest")])


@cocotb.test()
async def reset_within_a_token(dut):
    """Tokens after a reset are untouched by those it cut off; weights stay."""
    cfg, rng = config(), np.random.default_rng(seed() + 2)
    ports = BenchPorts(dut)
    await start(dut)
    layer = random_job(cfg, rng, 3)
    await projection_program.load(ports, cfg, *layer)
    for _ in range(4):
        ports.set("x__valid", 1)
        ports.set("z__ready", 1)
        for _ in range(int(rng.integers(1, 300))):
            await ports.tick()
        ports.set("rst", 1)
        await ports.tick()
        ports.set("rst", 0)
        await projection_program.run(ports, cfg, *layer, seed())
