"""CIM on Verilator: clusterings of all kinds, with idle cycles from none to nine in ten."""

import cocotb
import numpy as np

from verif.actors import STALLS
from verif.bench import config, seed
from verif.cta import cluster_codes
from verif.cycle import start
from verif.ports import BenchPorts


@cocotb.test()
@cocotb.parametrize(idle=list(STALLS))
async def tables(dut, idle):
    """Indices, k, overflow and latency; back to back where nothing idles."""
    cfg, rng = config(), np.random.default_rng([seed(), *idle.encode()])
    await start(dut)
    work = cluster_codes.clusterings(cfg, rng, 8)
    cycles = cluster_codes.stream(cfg, work, rng, STALLS[idle].probability)
    seen = await cluster_codes.play(BenchPorts(dut), cfg, work, cycles, rng)
    cluster_codes.check(seen, cluster_codes.expected(cfg, work, cycles))


@cocotb.test()
async def reset_in_mid_clustering(dut):
    """What a reset cuts off leaves no trace."""
    cfg, rng = config(), np.random.default_rng(seed())
    ports = BenchPorts(dut)
    await start(dut)
    for _ in range(4):
        work = cluster_codes.clusterings(cfg, rng, 2)
        cycles = cluster_codes.stream(cfg, work, rng)
        cut = cycles[:int(rng.integers(1, len(cycles) + 1))]
        await cluster_codes.play(ports, cfg, work, cut, rng, flush=False)
        ports.set("rst", 1)
        await ports.tick()
        ports.set("rst", 0)
        seen = await cluster_codes.play(ports, cfg, work, cycles, rng)
        cluster_codes.check(seen, cluster_codes.expected(cfg, work, cycles))
