"""Systolic array and PPE row: whole small heads, every phase, back to back."""

import cocotb
import numpy as np

from model.cta.config import CTAConfig
from verif.cta.array_program import random_program
from verif.ports import BenchPorts
from verif.runner import config, seed
from verif.streams import start


async def play(dut, exact, run_seed):
    cfg: CTAConfig = config()
    table = random_program(cfg, np.random.default_rng(run_seed), exact)
    await start(dut)
    await table.play(BenchPorts(dut), run_seed)


@cocotb.test()
@cocotb.parametrize(exact=[False, True], run=range(3))
async def head(dut, exact, run):
    await play(dut, exact, seed() + run)
