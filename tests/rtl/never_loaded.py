"""A cocotb test that must fail: a job whose weights were never loaded."""

import cocotb
import numpy as np

from model.cta import layout, stimulus
from sw.sim.cta import Session
from sw.sim.engine import Script
from verif.bench import config, seed
from verif.cta.bench_cta import INPUTS, OUTPUTS
from verif.cycle import outputs_are_known, start
from verif.play import play


@cocotb.test()
async def weights_never_loaded(dut):
    cfg = config()
    weights, job = stimulus.random_job(cfg, np.random.default_rng(seed()), 4)
    session = Session(cfg, Script(seed())).load(layout.token_loads(job))
    session.script.limit(2000)
    session.job(weights, job, reload=False)
    await start(dut)
    cocotb.start_soon(outputs_are_known(dut, OUTPUTS, INPUTS))
    await play(dut, session.script, INPUTS, OUTPUTS)
