"""Hash unit on Verilator: tokens of all magnitudes, every stall, shifts at both ends, resets."""

import cocotb
import numpy as np

from verif.actors import FREE, STALLED
from verif.bench import config, seed
from verif.cycle import start
from verif.lookup import hash_program
from verif.ports import BenchPorts


def _shifts(cfg, rng):
    point = cfg.score_point - cfg.score.frac
    return rng.integers(max(0, point - 3), point + 4, cfg.h)


@cocotb.test()
@cocotb.parametrize(z=[FREE, STALLED], rows=[FREE, STALLED])
async def rows(dut, z, rows):
    cfg, rng = config(), np.random.default_rng(seed())
    await start(dut)
    await hash_program.run(BenchPorts(dut), cfg, hash_program.random_z(cfg, rng, 40),
                           _shifts(cfg, rng), seed(), (z, rows))


@cocotb.test()
async def shifts_at_both_ends(dut):
    """Nearly all scores saturate, or nothing of them is left."""
    cfg, rng = config(), np.random.default_rng(seed())
    await start(dut)
    for shift in (0, 31, 0):
        await hash_program.run(BenchPorts(dut), cfg, hash_program.random_z(cfg, rng, 10),
                               np.full(cfg.h, shift), seed())


@cocotb.test()
async def reset_in_mid_token(dut):
    """Tokens after a reset are untouched by those it cut off."""
    cfg, rng = config(), np.random.default_rng(seed())
    await start(dut)
    ports = BenchPorts(dut)
    for _ in range(4):
        z, shift_s = hash_program.random_z(cfg, rng, 8), _shifts(cfg, rng)
        await hash_program.run(ports, cfg, z, shift_s, seed(), (STALLED, STALLED),
                               stop=int(rng.integers(1, 40)))
        ports.set("rst", 1)
        await ports.tick()
        ports.set("rst", 0)
        await hash_program.run(ports, cfg, z, shift_s, seed())
