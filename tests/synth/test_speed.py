"""From mapped modules to the clock."""

import pytest

from synth.mapping import Mapped
from synth.speed import speed
from synth.sram import macro
from synth.technology import technology
from tests.synth.linear import module

PRE = "sky130_fd_sc_hd__"
RAM = "hl_sram_1r1w_16x4"


def flop(d, q):
    return f"{PRE}dfxtp_1", {"CLK": "clk", "D": d, "Q": q}


def mapped(netlist, below=()):
    counts = netlist.counts()
    return Mapped(netlist.name, {k: n for k, n in counts.items() if k.startswith(PRE)},
                  {k: n for k, n in counts.items() if k in below},
                  {k: n for k, n in counts.items() if k == RAM}, netlist)


@pytest.fixture
def design():
    leaf = module("leaf", {"f": flop("x", "q"), "g": (f"{PRE}inv_1", {"A": "a", "Y": "x"})},
                  {"clk": "clk", "a": "a"}, {"q": "q"})
    word = {"clk": "clk", "w_en": "q", "w_addr": "q q q q", "w_data": "q q q q", "r_en": "q",
            "r_addr": "q q q q", "r_data": "r0 r1 r2 r3"}
    top = module("top", {"a": flop("d", "q"), "ram": (RAM, word), **{
        f"l{at}": ("leaf", {"clk": "clk", "a": "q" if at else "r0", "q": f"o{at}"}) for at in range(200)}},
        {"clk": "clk", "d": "d"})
    return {"leaf": mapped(leaf), "top": mapped(top, ("leaf",))}


def found(design, name="45nm", **more):
    return speed(design, ["leaf", "top"], {RAM: macro(RAM)}, technology(name), more.pop("static", {}), **more)


def test_a_path_for_each_block_and_what_follows(design):
    fast = found(design)
    assert [path.block for path in fast.paths] == ["leaf", "top"] or fast.paths[0].block == "top"
    assert {path.block: path.end_kind for path in fast.paths} == {"leaf": f"{PRE}dfxtp_1", "top": RAM}
    assert fast.worst_slack == min(path.slack for path in fast.paths)
    assert fast.fmax == pytest.approx(1000 / (1 - fast.worst_slack))
    assert fast.buffers.count > 0 and fast.buffers.um2 > 0
    path = min(fast.paths, key=lambda path: path.slack)
    assert path.delay + path.setup == pytest.approx(1 - path.slack)


def test_the_period_moves_slacks_and_not_the_clock(design):
    one, two = found(design), found(design, period=2.5)
    assert two.worst_slack == pytest.approx(one.worst_slack + 1.5) and two.fmax == pytest.approx(one.fmax)


def test_40_nm_is_faster_by_its_length(design):
    at45, at40 = found(design), found(design, "40nm")
    assert at40.fmax == pytest.approx(at45.fmax * 45 / 40, rel=1e-6)
    assert found(design, "sky130").fmax < at45.fmax / 3


def test_inputs_that_do_not_change_are_no_ends(design):
    assert {path.block for path in found(design, static={"leaf": ("a",)}).paths} == {"top"}


def test_a_design_without_paths():
    lone = module("top", {"a": flop("d", "q")}, {"clk": "clk", "d": "d"}, {"q": "q"})
    fast = speed({"top": mapped(lone)}, ["top"], {}, technology("45nm"), {})
    assert fast.paths == () and fast.fmax == float("inf") and fast.worst_slack == fast.period
