"""Memories: shapes, black boxes, and a model held to macros that were published."""

import numpy as np
import pytest

from model.errors import ConfigError
from model.memory_area import FAKERAM45, Macro
from synth import sram
from synth.sram import FAKERAM45_ACCESS, OPENRAM130, macro, stub
from synth.technology import technology


def test_a_name_is_a_shape():
    found = macro("hl_sram_1rw1r_2048x13")
    assert found == Macro("hl_sram_1rw1r", 2048, 13) and found.name == "hl_sram_1rw1r_2048x13"
    assert found.bits == 26_624
    for name in ("hl_sram_2r_8x8", "cta_pe", "hl_sram_1r1w_8"):
        with pytest.raises(ConfigError, match=f"macro is '{name}', must be one of hl_sram_1rw"):
            macro(name)


def test_a_black_box_has_the_ports_of_the_wrapper():
    assert stub(macro("hl_sram_1r1w_5x7")) == (
        "module hl_sram_1r1w_5x7 (input clk, input w_en, input [2:0] w_addr, input [6:0] w_data, "
        "input r_en, input [2:0] r_addr, output [6:0] r_data); endmodule\n")
    assert stub(macro("hl_sram_1rw_5x7")) == (
        "module hl_sram_1rw_5x7 (input clk, input w_en, input r_en, input [2:0] addr, "
        "input [6:0] w_data, output [6:0] r_data); endmodule\n")
    assert "output [6:0] q_data); endmodule" in stub(macro("hl_sram_1rw1r_5x7"))
    assert "input [0:0] w_addr" in stub(macro("hl_sram_1r1w_1x7"))


def test_45_nm_is_held_to_fakeram45():
    """A linear form of shape cannot be nearer: half of them within 7 %, all within 25 %."""
    errors = np.abs(sram.relative_errors(technology("45nm").sram))
    assert len(errors) == len(FAKERAM45) >= 6
    assert np.median(errors) < 0.075 and errors.max() < 0.255


def test_130_nm_is_held_to_openram():
    model = technology("sky130").sram
    for ports, depth, width, area in OPENRAM130:
        found = model.area(Macro(f"hl_sram_{ports}", depth, width))
        assert found == pytest.approx(area, rel=0.04), (ports, depth, width)


def test_access_times_are_held_to_fakeram45():
    model = technology("45nm").sram
    for depth, width, time in FAKERAM45_ACCESS:
        found = model.access(Macro("hl_sram_1r1w", depth, width))
        assert found == pytest.approx(time, rel=0.08), (depth, width)
    assert technology("40nm").sram.access(macro("hl_sram_1r1w_64x64")) == pytest.approx(
        model.access(macro("hl_sram_1r1w_64x64")) * 40 / 45)
    stacked, single = (model.access(macro(f"hl_sram_1r1w_{depth}x8")) for depth in (4096, 2048))
    assert stacked == pytest.approx(single + model.timing.stacked)


def test_a_memory_is_a_cell_with_a_pin_a_bit():
    cell = technology("45nm").sram.cell(macro("hl_sram_1rw1r_5x7"))
    assert cell.sequential and cell.pins["clk"].clock and cell.pins["clk"].capacitance == 0
    assert {arc.end for arc in cell.arcs} == {f"{port}_data[{bit}]" for port in "rq" for bit in range(7)}
    assert {setup.pin for setup in cell.setups} == {
        "w_en", "r_en", "q_en", *(f"w_data[{bit}]" for bit in range(7)),
        *(f"{port}_addr[{bit}]" for port in "wrq" for bit in range(3))}
    assert all(arc.edge and arc.slew[0].at(0, 500.0) == pytest.approx(0.227) for arc in cell.arcs)
    assert "q_en" not in technology("45nm").sram.cell(macro("hl_sram_1r1w_5x7")).pins


def test_a_large_memory_is_several_macros():
    model = technology("45nm").sram
    assert model.pieces(macro("hl_sram_1r1w_512x1408")) == (11, 512, 128)
    assert model.pieces(macro("hl_sram_1rw1r_4096x13")) == (2, 2048, 13)
    assert model.pieces(macro("hl_sram_1r1w_8x8")) == (1, 8, 8)
    wide, narrow = model.area(macro("hl_sram_1r1w_512x256")), model.area(macro("hl_sram_1r1w_512x128"))
    assert wide == pytest.approx(2 * narrow)
    both, one = model.area(macro("hl_sram_1rw1r_64x32")), model.area(macro("hl_sram_1r1w_64x32"))
    assert both == pytest.approx(4 / 3 * one)
    assert model.area(macro("hl_sram_1rw_64x32")) == pytest.approx(one / 1.5)
    assert model.area(macro("hl_sram_1r1w_1x1")) > 0
