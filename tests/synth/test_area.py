"""Areas add up over the hierarchy."""

import pytest

from synth.area import area
from synth.mapping import Mapped
from synth.report import PATHS, data, text
from synth.speed import Buffers, Speed
from synth.sram import macro
from synth.technology import technology
from synth.timing import Step, TimingPath

INV, FLOP, RAM = "sky130_fd_sc_hd__inv_1", "sky130_fd_sc_hd__dfxtp_1", "hl_sram_1r1w_16x4"
STEPS = (Step(FLOP, "a.q", True, 0.3), Step(INV, "b.y", False, 0.5))
FAST = Speed(1.0, tuple(TimingPath(f"b{at}", 0.1 * at - 0.05, 0.05, STEPS, "c.d", FLOP) for at in range(15)),
             Buffers(7, 12.5))
SLOW = Speed(1.0, (), Buffers(0, 0.0))
DESIGN = {"leaf": Mapped("leaf", {INV: 3, FLOP: 2}, {}, {RAM: 1}),
          "middle": Mapped("middle", {INV: 1}, {"leaf": 4}, {}),
          "top": Mapped("top", {FLOP: 1}, {"middle": 2, "leaf": 1}, {RAM: 2})}


@pytest.fixture(params=["45nm", "40nm", "sky130"])
def found(request):
    return area(DESIGN, ["leaf", "middle", "top"], {RAM: macro(RAM)}, technology(request.param))


def test_instances_and_sums(found):
    blocks = {block.name: block for block in found.blocks}
    assert {name: block.instances for name, block in blocks.items()} == {"leaf": 9, "middle": 2, "top": 1}
    assert (blocks["leaf"].cells, blocks["leaf"].flip_flops) == (5, 2)
    inv, flop = (found.technology.cell_area(cell) for cell in (INV, FLOP))
    assert found.logic_um2 == pytest.approx(9 * (3 * inv + 2 * flop) + 2 * inv + flop)
    assert {memory.block: memory.count for memory in found.memories} == {"leaf": 9, "top": 2}
    assert found.sram_bits == 11 * 64
    assert found.chip_um2 == pytest.approx(found.logic_um2 + 11 * found.technology.sram.area(macro(RAM)))
    assert [b.total_um2 for b in found.blocks] == sorted((b.total_um2 for b in found.blocks), reverse=True)


def test_nodes_are_scaled_as_they_say():
    large, small, smaller = (area(DESIGN, ["leaf", "middle", "top"], {RAM: macro(RAM)}, technology(name))
                             for name in ("sky130", "45nm", "40nm"))
    assert small.logic_um2 == pytest.approx(large.logic_um2 * 0.798 / 3.7536)
    assert smaller.chip_um2 == pytest.approx(small.chip_um2 * (40 / 45) ** 2)


def test_the_report_names_everything(found):
    said = text(found, FAST, "cta")
    assert "paper: 2.150 mm²" in said and "all logic" in said and "1r1w 16 × 4" in said
    assert all(note in said for note in found.technology.notes)
    assert "paper" not in text(found, FAST, "lookup")

    class Config:
        digest = "d"

        def as_dict(self):
            return {"b": 2, "fmt": {}}
    plain = data(found, FAST, "cta", Config())
    assert plain["chip_um2"] == found.chip_um2 and plain["config"] == {"b": 2}
    assert sum(m["bits"] * 1 for m in plain["memories"]) == found.sram_bits
    assert (plain["worst_slack_ns"], plain["fmax_mhz"]) == (-0.05, pytest.approx(1000 / 1.05))
    assert len(plain["paths"]) == 15 and plain["paths"][0]["start"] == "a.q"
    assert [cell["cell"] for cell in plain["paths"][0]["cells"]] == [FLOP, INV]
    assert plain["buffers"] == {"count": 7, "um2": 12.5}
    assert "worst_slack_ns" not in data(found, SLOW, "cta", Config())     # what was not found is not there


def test_the_report_shows_the_worst_paths(found):
    said = text(found, FAST, "cta")
    row = next(line for line in said.splitlines() if line.startswith("b0 "))
    assert row.split() == ["b0", "-0.050", "2", "a.q", "c.d"]
    assert f"{15 - PATHS} more blocks: +1.150 ns and better" in said
    assert "clock: 952 MHz; worst slack -0.050 ns at 1 ns, 1 of 15 blocks miss it; 7 buffers" in said
    assert "no path leads from a register" in text(found, SLOW, "cta")


def test_a_design_without_memories():
    bare = {"top": Mapped("top", {INV: 1, FLOP: 1}, {}, {})}
    found = area(bare, ["top"], {}, technology("45nm"))
    assert found.sram_um2 == 0 == found.sram_bits and "all memories" in text(found, SLOW, "lookup")
