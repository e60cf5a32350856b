"""CAG on Verilator: jobs of all kinds, back to back and with gaps, to the cycle."""

import cocotb
import numpy as np

from verif.bench import config, seed
from verif.cta import centroid_jobs
from verif.cycle import start
from verif.ports import BenchPorts


@cocotb.test()
@cocotb.parametrize(gaps=[False, True])
async def centroids(dut, gaps):
    """Rows, addresses, cycles, k and saturations."""
    cfg, rng = config(), np.random.default_rng([seed(), gaps])
    await start(dut)
    jobs = centroid_jobs.works(cfg, rng, (None,) * 12, gaps)
    player = centroid_jobs.Player(BenchPorts(dut), cfg, jobs, rng)
    await player.play()
    rows, ks, saturated = centroid_jobs.expected(cfg, jobs)
    assert player.rows == rows
    assert (player.ks, player.saturated) == (ks, saturated)


@cocotb.test()
async def reset_in_mid_job(dut):
    """Jobs after a reset are untouched by the one it cut off."""
    cfg, rng = config(), np.random.default_rng(seed())
    ports = BenchPorts(dut)
    await start(dut)
    for _ in range(3):
        jobs = centroid_jobs.works(cfg, rng, (None,) * 2)
        centroid_jobs.offer(ports, cfg, jobs[0])
        for _ in range(int(rng.integers(2 * cfg.n + 20))):
            await ports.tick()
        ports.set("rst", 1)
        await ports.tick()
        ports.set("rst", 0)
        player = centroid_jobs.Player(ports, cfg, jobs, rng)
        await player.play()
        rows, ks, saturated = centroid_jobs.expected(cfg, jobs)
        assert player.rows == rows
        assert (player.ks, player.saturated) == (ks, saturated)
