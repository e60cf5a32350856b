"""Gather against ``model.lookup.gather``: y, addresses, bytes, pace, whatever the memory does."""

import random

import numpy as np
import pytest
from amaranth.hdl import Signal

from gen.lookup.gather import Gather
from gen.lookup.gather_accumulate import GatherAccumulate
from gen.lookup.gather_output import GatherOutput
from gen.lookup.row_walk import RowWalk
from gen.lookup.table_address import TableAddress
from gen.lookup.tile import Tile
from model.lookup.config import LookupConfig
from model.lookup.gather import orders
from model.lookup.job import Order
from model.lookup.timing import ADDRESS_STAGES, OUTPUT_STAGES, SUM_STAGES
from tests.gen.mutants import edited
from tests.gen.native import simulate
from verif.actors import HEAVY, STALLED
from verif.lookup import gather_program
from verif.lookup.gather_program import random_work
from verif.ports import NativePorts

TOKEN, TABLE = Order.TOKEN_MAJOR, Order.TABLE_MAJOR

CONFIGS = {
    "four beats": dict(d=16, h=3, tau=2, lanes=4, batch=4),
    "one beat": dict(d=16, h=5, tau=2, lanes=16, batch=3, outstanding=16),
    "two beats": dict(d=16, h=3, tau=3, lanes=8, batch=4),
    "three beats": dict(d=24, h=4, tau=2, lanes=8, batch=2, outstanding=4),
    "padded rows": dict(d=40, h=3, tau=1, lanes=16, batch=3),
    "padded row of a beat": dict(d=24, h=2, tau=2, lanes=32, batch=2),
    "a byte a beat": dict(d=8, h=2, tau=1, lanes=1, batch=1, outstanding=1),
    "one table": dict(d=8, h=1, tau=3, lanes=8, batch=3),
    "one of all": dict(d=8, h=1, tau=1, lanes=8, batch=1, outstanding=2),
    "neighbours": dict(d=16, h=2, tau=2, lanes=16, batch=2, neighbours=True),
    "plain": dict(d=8, h=3, tau=2, lanes=4, neighbours=True, gelu_scaled=False, batch=1),
    "residual": dict(d=16, h=3, tau=2, lanes=16, residual=True, batch=4),
    "residual, narrow": dict(d=16, h=1, tau=2, lanes=2, residual=True, batch=2),
    "no tile": dict(d=24, h=3, tau=2, lanes=8, tile=False, residual=True),
    "no tile, one beat": dict(d=16, h=2, tau=2, lanes=16, tile=False, neighbours=True),
    "no tile, internal": dict(d=16, h=3, tau=3, lanes=8, tile=False, tables="internal"),
    "internal": dict(d=16, h=3, tau=3, lanes=8, batch=4, tables="internal"),
    "internal, one beat": dict(d=16, h=4, tau=2, lanes=16, batch=2, tables="internal",
                               residual=True),
}


def play(cfg, seed, *jobs, block=Gather):
    """Jobs on one engine, each ``(order, tokens, options of the run)``; gives their cycles."""
    rng = np.random.default_rng(seed)
    tables, out_bias = gather_program.random_layer(cfg, rng)
    dut, trials = block(cfg), []

    async def bench(ctx):
        ports = NativePorts(ctx, dut)
        await gather_program.load(ports, cfg, tables, out_bias)
        for number, (order, tokens, options) in enumerate(jobs):
            work = random_work(cfg, rng, order, tokens, options.pop("shift_y", None))
            trials.append(await gather_program.run(ports, cfg, tables, out_bias, work,
                                                   seed + number, **options))

    simulate(dut, bench)
    return trials


def jittery(seed):
    """A memory whose answers take 1 to 50 cycles."""
    rng = random.Random(seed)
    return dict(latency=lambda: rng.randint(1, 50))


@pytest.mark.parametrize("name", CONFIGS)
def test_jobs_back_to_back(name):
    """Both orders after each other, odd and single tokens, every port pausing, memory starving."""
    cfg = LookupConfig(**CONFIGS[name])
    more = 2 * cfg.batch + 1
    jobs = ((TOKEN, 5, {}),
            (TABLE, more, jittery(1)),
            (TOKEN, 1, dict(shift_y=0)),
            (TOKEN, more, dict(stalls=STALLED, memory_stalls=STALLED) | jittery(3)),
            (TABLE, cfg.batch, dict(stalls=STALLED, memory_stalls=HEAVY, shift_y=31)),
            (TABLE, 1, {}),
            (TOKEN, 4, dict(memory_stalls=HEAVY, y_stalls=HEAVY)))
    play(cfg, 21, *(job for job in jobs if job[0] in orders(cfg)))


@pytest.mark.parametrize("name, order", [("one beat", TOKEN), ("three beats", TABLE), ("no tile", TOKEN)])
def test_reset_in_mid_job(name, order):
    cfg = LookupConfig(**CONFIGS[name])
    rng = np.random.default_rng(22)
    tables, out_bias = gather_program.random_layer(cfg, rng)
    dut, reset = Gather(cfg), Signal()

    async def bench(ctx):
        ports = NativePorts(ctx, dut)
        await gather_program.load(ports, cfg, tables, out_bias)
        for after in (3, 17, 41, 60):
            await gather_program.run(ports, cfg, tables, out_bias,
                                     random_work(cfg, rng, order, 20), 22, stop=after)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            await gather_program.run(ports, cfg, tables, out_bias,
                                     random_work(cfg, rng, TOKEN, 4), 22)

    simulate(dut, bench, reset)


@pytest.mark.parametrize("parameters", [
    dict(d=16, h=16, tau=3, lanes=16), dict(d=32, h=8, tau=3, lanes=16),
    dict(d=40, h=8, tau=2, lanes=8, batch=1)], ids=["one beat", "two beats", "five beats"])
def test_token_major_keeps_the_port_busy(parameters):
    """At a latency of 100, at least 95 % of the cycles from first to last beat bring one."""
    cfg = LookupConfig(**parameters)
    tokens = 600 // (cfg.h * cfg.row_beats)
    trial, = play(cfg, 23, (TOKEN, tokens, dict(latency=lambda: 100)))
    assert trial.responses[0] == ADDRESS_STAGES + 100
    beats = len(trial.responses)
    assert beats == tokens * cfg.h * cfg.row_beats
    assert beats >= 0.95 * (trial.responses[-1] - trial.responses[0] + 1)
    assert trial.y[-1] - trial.responses[-1] <= SUM_STAGES + OUTPUT_STAGES + 1 + cfg.d // 8


def test_tiles_are_read_ahead():
    """Table-major, the port rests only until the first tile that waits may be overwritten."""
    cfg = LookupConfig(d=16, h=6, tau=5, lanes=8, batch=4)
    trial, = play(cfg, 24, (TABLE, 4, dict(latency=lambda: 20)))
    size = cfg.row_beats << cfg.tau
    assert len(trial.responses) == cfg.h * size
    assert trial.responses[-1] - trial.responses[0] < 1.3 * len(trial.responses)


ADDER = "old[mine] if from_adder is None else Mux(from_adder, total[mine], old[mine])"
MUTANTS = {    # block, what it reads, what it should not read, a configuration that shows it
    "no copy of the last sum": (GatherAccumulate, "last, found)", "found, found)", "three beats"),
    "no sum on its way": (GatherAccumulate, "total, found)", "found, found)", "two beats"),
    "no adder register": (GatherAccumulate, ADDER, "old[mine]", "one beat"),
    "first is no first": (GatherAccumulate, "Mux(first[1], 0, found)", "found", "four beats"),
    "y floors": (GatherOutput, "carry.eq(half)", "carry.eq(0)", "four beats"),
    "one word for all": (GatherOutput, "base + cfg.row_beats", "base", "four beats"),
    "rows unpadded": (TableAddress, "self.code * cfg.row_beats", "self.code", "padded rows"),
    "one tile": (TableAddress, "Mux(offset == 0, size, 0)", "0", "four beats"),
    "tile too early": (Tile, "(full != 0) & (", "(", "four beats"),
    "three tiles": (Tile, "now_asked != 2", "1", "four beats"),
    "ring does not close": (RowWalk, "Mux(over, 0, at + 1)", "at + 1", "one beat"),
    "batch not complete": (RowWalk, "tokens >= self.size", "tokens != 0", "one beat"),
    "bank not waited for": (Gather, "scores.valid & ~owned.bit_select(scores.bank, 1)",
                            "scores.valid", "one beat"),
    "bank not waited for, no tile": (Gather, "scores.valid & ~owned.bit_select(scores.bank, 1)",
                                     "scores.valid", "no tile"),
    "row not waited for, no tile": (Gather, "come.eq(may & chosen", "come.eq(chosen", "no tile"),
    "too many in flight": (Gather, "flight != cfg.outstanding", "1", "one beat"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_found(name, monkeypatch):
    block, old, new, config = MUTANTS[name]
    mutant = edited(block, old, new)
    for user in ("gather", "table_address", "row_scores"):
        monkeypatch.setattr(f"gen.lookup.{user}.{block.__name__}", mutant, raising=False)
    with pytest.raises(AssertionError):
        jobs = ((TOKEN, 13, dict(latency=lambda: 40, y_stalls=HEAVY, limit=2000)),
                (TABLE, 9, dict(stalls=STALLED, latency=lambda: 9, limit=2000)))
        cfg = LookupConfig(**CONFIGS[config])
        play(cfg, 25, *(job for job in jobs if job[0] in orders(cfg)),
             block=mutant if block is Gather else Gather)
