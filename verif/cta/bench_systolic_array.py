"""Systolic array and PPE row: whole small heads, every phase, back to back."""

import cocotb
import numpy as np

from verif.bench import config, seed
from verif.cta.array_program import random_program
from verif.cycle import start
from verif.ports import BenchPorts


@cocotb.test()
@cocotb.parametrize(exact=[False, True], run=range(2))
async def head(dut, exact, run):
    number = seed() + run
    table = random_program(config(), np.random.default_rng(number), exact)
    await start(dut)
    await table.play(BenchPorts(dut), number)
