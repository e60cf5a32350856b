"""Schedule and sequencer: every slot of Table I, with events prompt, slow, and a new start in mid-head."""

import cocotb
import numpy as np

from verif.bench import config, seed
from verif.cta.sequencer_program import head_program, random_head
from verif.cycle import start
from verif.ports import BenchPorts


@cocotb.test()
@cocotb.parametrize(events=("prompt", "slow", "cut"))
async def program(dut, events):
    rng = np.random.default_rng([seed(), *map(ord, events)])
    heads = [random_head(config(), rng, bool(at % 2)) for at in range(6)]
    table = head_program(config(), rng, heads, events != "prompt", events == "cut")
    await start(dut)
    await table.play(BenchPorts(dut), seed())
