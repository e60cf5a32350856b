"""PE: random cycles of both dataflows."""

import cocotb
import numpy as np

from verif.bench import config, seed
from verif.cta.pe_program import random_program
from verif.cycle import start
from verif.ports import BenchPorts


@cocotb.test()
@cocotb.parametrize(run=range(2))
async def program(dut, run):
    number = seed() + run
    table = random_program(config(), np.random.default_rng(number), cycles=3000)
    await start(dut)
    await table.play(BenchPorts(dut), number)
