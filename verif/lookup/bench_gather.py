"""Gather on Verilator: both orders, memories of all tempers, resets, and the pace of the port."""

import random

import cocotb
import numpy as np

from model.lookup.gather import orders
from model.lookup.job import Order
from verif.actors import FREE, HEAVY, STALLED
from verif.bench import config, seed
from verif.cycle import start
from verif.lookup import gather_program
from verif.lookup.gather_program import random_work
from verif.ports import BenchPorts

TOKEN, TABLE = Order.TOKEN_MAJOR, Order.TABLE_MAJOR


async def _engine(dut, rng):
    cfg = config()
    await start(dut)
    ports = BenchPorts(dut)
    layer = gather_program.random_layer(cfg, rng)
    await gather_program.load(ports, cfg, *layer)
    return cfg, ports, layer


def jittery(most=50):
    """A memory whose answers take 1 to ``most`` cycles."""
    rng = random.Random(seed())
    return lambda: rng.randint(1, most)


@cocotb.test()
@cocotb.parametrize(stalls=[FREE, STALLED], memory_stalls=[FREE, HEAVY], y_stalls=[FREE, HEAVY])
async def jobs(dut, stalls, memory_stalls, y_stalls):
    """Jobs back to back, in both orders, of one token and of more than a batch."""
    rng = np.random.default_rng(seed())
    cfg, ports, layer = await _engine(dut, rng)
    more = 2 * cfg.batch + 1
    for order, tokens, shift in ((TOKEN, more, None), (TABLE, more, None), (TOKEN, 1, 0),
                                 (TABLE, 1, 31), (TABLE, cfg.batch, None), (TOKEN, 7, None)):
        if order not in orders(cfg):
            continue
        await gather_program.run(ports, cfg, *layer, random_work(cfg, rng, order, tokens, shift),
                                 seed(), jittery(), stalls, memory_stalls, y_stalls)


@cocotb.test()
async def reset_in_mid_job(dut):
    """Jobs after a reset are untouched by the one it cut off."""
    rng = np.random.default_rng(seed())
    cfg, ports, layer = await _engine(dut, rng)
    for order in orders(cfg) * 4:
        await gather_program.run(ports, cfg, *layer, random_work(cfg, rng, order, 20), seed(),
                                 jittery(9), stop=int(rng.integers(1, 80)))
        ports.set("rst", 1)
        await ports.tick()
        ports.set("rst", 0)
        await gather_program.run(ports, cfg, *layer, random_work(cfg, rng, TOKEN, 3), seed())


@cocotb.test()
async def port_is_busy(dut):
    """Token-major at a latency of 100, the port brings a beat in 95 % of the cycles or more."""
    rng = np.random.default_rng(seed())
    cfg, ports, layer = await _engine(dut, rng)
    y_is_slower = cfg.d // 8 > cfg.h * cfg.row_beats // 2
    if cfg.tables == "internal" or cfg.outstanding <= 100 or y_is_slower:
        return    # nothing to measure, or the memory or y sets the pace
    tokens = -(-4000 // (cfg.h * cfg.entries * cfg.row_beats))
    trial = await gather_program.run(ports, cfg, *layer, random_work(cfg, rng, TOKEN, tokens),
                                     seed(), lambda: 100)
    beats, cycles = len(trial.responses), trial.responses[-1] - trial.responses[0] + 1
    assert beats >= 0.95 * cycles, f"{beats} beats in {cycles} cycles"
