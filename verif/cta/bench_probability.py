"""PAG: random batches back to back, every hazard distance, exact mode; values and cycles."""

import cocotb
import numpy as np

from verif.bench import config, seed
from verif.cta.probability_program import de_bruijn, overlapped, random_batch
from verif.cycle import start
from verif.ports import BenchPorts


async def play(dut, program):
    await start(dut)
    await program.play(BenchPorts(dut), seed())


@cocotb.test()
async def batches_back_to_back(dut):
    cfg, rng = config(), np.random.default_rng(seed())
    await play(dut, overlapped(rng, cfg, [random_batch(rng, cfg, n=cfg.n, cols=cfg.b)] + [
        random_batch(rng, cfg, gaps=bool(rng.integers(2))) for _ in range(8)]))


@cocotb.test()
async def small_and_large_scores(dut):
    cfg, rng = config(), np.random.default_rng(seed() + 1)
    await play(dut, overlapped(rng, cfg, [random_batch(rng, cfg, spread=spread)
                                          for spread in (10, 200, 4000, 32000)]))


@cocotb.test()
async def every_hazard(dut):
    cfg, rng = config(), np.random.default_rng(seed() + 2)
    symbols = min(3, cfg.k1, cfg.k2)
    sequence = np.repeat(de_bruijn(symbols, 4), 2)[:cfg.n]
    constant = np.zeros(min(cfg.n, 33), dtype=np.int64)
    await play(dut, overlapped(rng, cfg, [
        random_batch(rng, cfg, ct1=sequence, ct2=sequence[::-1]),
        random_batch(rng, cfg, ct1=constant, ct2=constant),
        random_batch(rng, cfg, cols=cfg.b, ct1=constant[:3], ct2=constant[:3])]))


@cocotb.test()
async def exact_mode(dut):
    cfg, rng = config(), np.random.default_rng(seed() + 3)
    await play(dut, overlapped(rng, cfg, [
        random_batch(rng, cfg, n=n, exact=True)
        for n in (cfg.exact, 1, int(rng.integers(1, cfg.exact + 1)), cfg.exact)]))
