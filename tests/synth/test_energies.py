"""What a toggle takes, by hand; the cells of tests/synth/linear.py take nothing inside."""

import dataclasses

import pytest

from synth.buffering import buffers
from synth.cells import Library, cells_of
from synth.energies import clock_energy, inverter_energy, net_energies, tree_energy
from synth.liberty import parse
from synth.technology import ENERGY_45, technology
from tests.synth.linear import LIBERTY, library, module


def powered() -> Library:
    """The library at 2 V, whose inverters take 3 fJ inside and whose flip-flops 5 fJ a clock edge."""
    found = library()
    cells = dict(found.cells)
    cells["INV"] = dataclasses.replace(cells["INV"], energies={"Y": 3.0})
    cells["DFF"] = dataclasses.replace(cells["DFF"], energies={"C": 5.0, "D": 1.0})
    return Library(found.name, 2.0, 25.0, cells)


def test_nets_take_the_pins_they_lead_to_and_what_cells_take_inside():
    netlist = module("m", {"i": ("INV", {"A": "a", "Y": "x"}), "j": ("INV", {"A": "x", "Y": "y"}),
                           "f": ("DFF", {"C": "clk", "D": "x", "Q": "q"}), "s": ("inner", {"p": "x"})})
    nets, found = {name: net for net, name in netlist.names.items()}, net_energies(netlist, powered())
    half = 0.5 * 2.0 ** 2
    assert found[nets["a"]] == half * 2 and found[nets["y"]] == 3.0
    assert found[nets["x"]] == half * (2 + 1) + 3.0 + 1.0       # an inverter, D of the flip-flop; inside
    assert found[nets["clk"]] == 0.0
    assert clock_energy(netlist, powered()) == (1, 2 * (5.0 + half * 1))


def test_the_clock_tree_is_levels_of_buffers():
    chosen = powered()
    one = 2 * 0.5 * 4 * 2
    assert tree_energy(20, chosen, buffers(chosen)) == one and tree_energy(1, chosen, buffers(chosen)) == 0
    assert tree_energy(800, chosen, buffers(chosen)) == one * (40 + 2 + 1)
    assert tree_energy(800, library("BUF"), []) == 0


def test_an_inverter_that_drives_four():
    assert inverter_energy(powered()) == 3.0 + 0.5 * 4 * 8
    chosen = technology("45nm")
    assert inverter_energy(chosen.library) * chosen.energy == pytest.approx(ENERGY_45)
    assert inverter_energy(technology("sky130").library) * technology("sky130").energy > 3 * ENERGY_45


def test_internal_power_of_a_library():
    """Edges are averaged, tables read a third of the way along; the unit is that of charge times volts."""
    text = LIBERTY.replace("capacitive_load_unit (1, ff)", "capacitive_load_unit (1, pf)").replace(
        'pin (Y) { direction : output; function : "!A";', '''pin (Y) { direction : output; function : "!A";
        internal_power () { rise_power (t) { index_1 ("1, 2, 3, 4"); index_2 ("1, 2");
                            values ("9, 9", "0.5, 9", "9, 9", "9, 9"); }
                            fall_power (scalar) { values ("-0.1"); } }''')
    assert cells_of(parse(text)).cells["INV"].energies["Y"] == pytest.approx(200.0)
