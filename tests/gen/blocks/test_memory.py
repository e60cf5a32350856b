"""SRAM wrapper under the Amaranth simulator; on Verilator: verif/cta/bench_sram.py."""

import random
import subprocess
from pathlib import Path

import pytest
from amaranth.sim import Simulator

from gen.blocks.memory import PORTS, SRAM


@pytest.mark.parametrize("ports", PORTS)
@pytest.mark.parametrize("width, depth", [(1, 1), (7, 5), (80, 16)])
def test_random_traffic(width, depth, ports):
    dut, seed = SRAM(width=width, depth=depth, ports=ports), width * 100 + depth
    rw, one = ports == "1rw1r", ports == "1rw"
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
            ctx.set(dut.addr if one else dut.w_addr, at)
            ctx.set(dut.w_data, word)
            for side in sides:
                enable, where = rng.random() < .6 and not (one and write), rng.randrange(depth)
                ctx.set(getattr(dut, f"{side}_en"), enable)
                if not one:
                    ctx.set(getattr(dut, f"{side}_addr"), where)
                elif enable:
                    ctx.set(dut.addr, where)
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


def test_two_accesses_of_one_port_end_the_run():
    """The contract of the single port is checked in every simulation."""
    dut = SRAM(width=8, depth=4, ports="1rw")

    async def bench(ctx):
        ctx.set(dut.w_en, 1)
        await ctx.tick()
        ctx.set(dut.r_en, 1)
        await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-9)
    simulator.add_testbench(bench)
    with pytest.raises(AssertionError, match="it has one port"):
        simulator.run()


MAIN = """#include "Vhl_sram_1rw.h"
int main(int, char** words) {
    Vhl_sram_1rw one;
    for (char c : std::string(words[1])) {     // a digit a cycle: 1 reads, 2 writes, 3 does both
        one.r_en = c & 1, one.w_en = c >> 1 & 1;
        one.clk = 0, one.eval(), one.clk = 1, one.eval();
    }
}
"""


def test_two_accesses_of_one_port_end_the_run_in_verilog(tmp_path):
    """With HASHLAYER_ASSERT, as every run of the harness has it."""
    verilator = pytest.importorskip("sw.sim.verilator")
    source = Path(__file__).resolve().parents[3] / "rtl" / "hl_sram_1rw.v"
    (tmp_path / "main.cpp").write_text(MAIN)
    for flags, stops in (((), False), (("--assert", "-DHASHLAYER_ASSERT"), True)):
        folder = tmp_path / f"o{stops}"
        run = verilator.find().run("--cc", "--exe", "--build", "-Wno-fatal", "-Wno-lint", *flags, "--Mdir",
                                   str(folder), source, tmp_path / "main.cpp")
        assert run.returncode == 0, run.stderr[-2000:]
        for cycles, ends in (("012210", False), ("01203", stops)):
            done = subprocess.run([folder / "Vhl_sram_1rw", cycles], text=True, capture_output=True)
            assert (done.returncode != 0) == ends, (flags, cycles)
            assert ("written and read in one cycle" in done.stdout) == ends, done.stdout + done.stderr


@pytest.mark.parametrize("width, depth", [(0, 4), (4, 0)])
def test_illegal_sizes_are_named(width, depth):
    with pytest.raises(ValueError, match=f"width is {width}, depth is {depth}"):
        SRAM(width=width, depth=depth)


def test_unknown_ports_are_named():
    with pytest.raises(ValueError, match="ports is '2rw', must be one of 1rw, 1r1w, 1rw1r"):
        SRAM(width=4, depth=4, ports="2rw")
