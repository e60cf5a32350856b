"""OpenSTA as a second opinion: a mapped design as Verilog, its memories as Liberty, and what it says."""

import re
import shutil
import subprocess
from pathlib import Path

from synth.cells import Cell
from synth.liberty import parse, written
from synth.netlist import ONE, Netlist

__all__ = ["PROGRAM", "worst_slack"]

PROGRAM = shutil.which("sta")

SCRIPT = """read_liberty cells.lib
{memories}
read_verilog design.v
link_design {top}
create_clock -name clk -period {period} [get_ports clk]
report_checks -path_delay max -format full -digits 5
exit
"""
HEAD = """library(memories) {
 delay_model : table_lookup; time_unit : "1ns"; voltage_unit : "1V"; current_unit : "1mA";
 leakage_power_unit : "1nW"; pulling_resistance_unit : "1kohm"; capacitive_load_unit(1, ff);
 nom_process : 1; nom_voltage : 1; nom_temperature : 25;
"""


def worst_slack(netlists: dict[str, Netlist], names: list[str], liberty: str, memories: dict[str, Cell],
                period: float, folder: Path) -> float:
    """The worst slack in ns from register to register; ``memories`` are cells of :mod:`synth.sram`."""
    (folder / "cells.lib").write_text(_in_rows(liberty))
    (folder / "design.v").write_text("".join(_verilog(netlists[name], netlists, memories) for name in names))
    if memories:
        (folder / "memories.lib").write_text(_library(memories))
    (folder / "run.tcl").write_text(SCRIPT.format(
        memories="read_liberty memories.lib" if memories else "", top=names[-1], period=period))
    run = subprocess.run([PROGRAM, "-exit", "run.tcl"], cwd=folder, text=True, capture_output=True)
    found = re.findall(r"^\s+(-?[\d.]+)\s+slack \((?:MET|VIOLATED)\)", run.stdout, re.M)
    assert found, run.stdout + run.stderr
    return float(found[0])


def _in_rows(liberty: str) -> str:
    """The library with its tables in rows, which OpenSTA asks for."""
    library = parse(liberty)
    templates = {template.name: template for template in library.children("lu_table_template")}

    def visit(group):
        values = group.numbers("values")
        if values:
            template = templates.get(group.name, group)
            width = len(group.numbers("index_2") or template.numbers("index_2")) or len(values)
            rows = [values[at:at + width] for at in range(0, len(values), width)]
            group.attributes["values"] = '", "'.join(", ".join(map(str, row)) for row in rows)
        for child in group.groups:
            visit(child)

    visit(library)
    return written(library)


def tied(net: int) -> str:
    """What a bit that is tied is tied to."""
    return "1'b1" if net == ONE else "1'b0"


def _verilog(netlist: Netlist, netlists, memories) -> str:
    """A module; a pin of one bit of a memory is ``r_data_3_``."""
    sides = ("input", netlist.inputs), ("output", netlist.outputs)
    ports = [(way, f"\\{port} ", bits) for way, side in sides for port, bits in side.items()]
    lines = [f"module {netlist.name} ({', '.join(port for _, port, _ in ports)});"]
    joins, width = [], "n{}".format
    for way, port, bits in ports:
        lines.append(f"  {way} [{len(bits) - 1}:0] {port};" if len(bits) > 1 else f"  {way} {port};")
        for at, net in enumerate(bits):
            bit = f"{port}[{at}]" if len(bits) > 1 else port
            if net >= 0 or way == "output":
                right = tied(net) if net < 0 else width(net)
                joins.append(f"  assign {bit} = {right};" if way == "output"
                             else f"  assign {right} = {bit};")
    lines += [f"  wire n{net};" for net in range(netlist.nets)]
    for at, cell in enumerate(netlist.cells):
        pins = []
        for pin, bits in cell.pins.items():
            nets = [tied(net) if net < 0 else width(net) for net in bits]
            if cell.kind in netlists:
                pins.append(f".\\{pin} ({{{', '.join(reversed(nets))}}})")
            else:
                names = [pin] if pin in memories.get(cell.kind, Cell("", 0, 0, False, {pin: None})).pins \
                    else [f"{pin}_{bit}_" for bit in range(len(bits))]
                pins += [f".{name}({net})" for name, net in zip(names, nets)]
        lines.append(f"  {cell.kind} i{at} ({', '.join(pins)});")
    return "\n".join([*lines, *joins, "endmodule\n"])


def _library(memories: dict[str, Cell]) -> str:
    def flat(pin):
        return pin.replace("[", "_").replace("]", "_")

    def scalar(kind, table):
        return f'{kind}(scalar) {{ values("{table.values[0, 0]:.6f}"); }}'

    def over_load(kind, table):
        return (f'{kind}(load) {{ index_1("{", ".join(map(str, table.y))}"); '
                f'values("{", ".join(f"{v:.6f}" for v in table.values[0])}"); }}')
    text = [HEAD, 'lu_table_template(load) { variable_1 : total_output_net_capacitance; index_1("1, 2"); }']
    for cell in memories.values():
        text.append(f"cell({cell.name}) {{ area : {cell.area:.1f};")
        arcs = {arc.end: arc for arc in cell.arcs}
        setups = {setup.pin: setup for setup in cell.setups}
        for pin in cell.pins.values():
            text.append(f"pin({flat(pin.name)}) {{ direction : {pin.direction};")
            if pin.direction == "input":
                text.append(f" capacitance : {pin.capacitance}; {'clock : true;' if pin.clock else ''}")
            if pin.name in setups:
                time = setups[pin.name].time
                text.append(' timing() { related_pin : "clk"; timing_type : setup_rising; '
                            + scalar("rise_constraint", time[0]) + scalar("fall_constraint", time[1]) + "}")
            if pin.name in arcs:
                arc = arcs[pin.name]
                text.append(' timing() { related_pin : "clk"; timing_type : rising_edge; '
                            + scalar("cell_rise", arc.delay[0]) + scalar("cell_fall", arc.delay[1])
                            + over_load("rise_transition", arc.slew[0])
                            + over_load("fall_transition", arc.slew[1]) + "}")
            text.append("}")
        text.append("}")
    return "\n".join([*text, "}"])


