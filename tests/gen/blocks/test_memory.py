"""SRAM wrapper under the Amaranth simulator; on Verilator: verif/cta/bench_sram.py."""

import random

import pytest
from amaranth.sim import Simulator

from gen.blocks.memory import SRAM


@pytest.mark.parametrize("rw", [False, True])
@pytest.mark.parametrize("width, depth", [(1, 1), (7, 5), (80, 16)])
def test_random_traffic(width, depth, rw):
    dut, seed = SRAM(width=width, depth=depth, rw=rw), width * 100 + depth
    rng, cells, shown = random.Random(seed), {}, {}
    sides = ("r", "q") if rw else ("r",)

    async def bench(ctx):
        for cycle in range(400):
            for side in sides:
                if side in shown:
                    assert ctx.get(getattr(dut, f"{side}_data")) == shown[side], (
                        f"cycle {cycle}, {side}, seed {seed}")
            write, at, word = rng.random() < .5, rng.randrange(depth), rng.getrandbits(width)
            ctx.set(dut.w_en, write)
            ctx.set(dut.w_addr, at)
            ctx.set(dut.w_data, word)
            for side in sides:
                enable, where = rng.random() < .6, rng.randrange(depth)
                ctx.set(getattr(dut, f"{side}_en"), enable)
                ctx.set(getattr(dut, f"{side}_addr"), where)
                if not enable or (rw and side == "r" and write):
                    continue      # holds; port 0 of the rw flavour does one thing at a time
                shown.pop(side, None)
                if where in cells and not (write and where == at):
                    shown[side] = cells[where]
            if write:
                cells[at] = word
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-9)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_read_of_the_word_being_written_is_rubbish():
    """Neither the old nor the new word: nobody can come to rely on it."""
    dut = SRAM(width=8, depth=4)

    async def bench(ctx):
        ctx.set(dut.w_en, 1)
        ctx.set(dut.w_data, 0x11)
        await ctx.tick()
        ctx.set(dut.w_data, 0x22)
        ctx.set(dut.r_en, 1)
        await ctx.tick()
        assert ctx.get(dut.r_data) not in (0x11, 0x22)

    simulator = Simulator(dut)
    simulator.add_clock(1e-9)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("width, depth", [(0, 4), (4, 0)])
def test_illegal_sizes_are_named(width, depth):
    with pytest.raises(ValueError, match=f"width is {width}, depth is {depth}"):
        SRAM(width=width, depth=depth)
