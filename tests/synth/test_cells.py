"""What a Liberty library means: units, pins, arcs, tables."""

import numpy as np
import pytest

from synth.cells import Table, cells_of
from synth.liberty import LibertyError, parse
from synth.technology import technology

FLOP = """cell (DFF) { area : 4; ff (IQ, IQN) { clocked_on : C; next_state : D; }
  pin (D) { direction : input; } }"""
INV = """cell (INV) { area : 1; pin (A) { direction : input; capacitance : 3; }
  pin (Y) { direction : output; function : "%s"; } }"""


def library(*cells, units="time_unit : 1ps; capacitive_load_unit (1, ff); leakage_power_unit : 1uW;"):
    return parse(f"library (l) {{ {units} {' '.join(cells)} }}")


@pytest.mark.parametrize("function", ["!A", "(!A)", "A'", "(A')"])
def test_units_and_kinds(function):
    found = cells_of(library(FLOP, INV % function, "cell (OLD) { area : 9; dont_use : true; }"))
    assert set(found.cells) == {"DFF", "INV"}
    assert found.cells["DFF"].sequential and not found.cells["INV"].sequential
    assert found.cells["INV"].pins["A"].capacitance == 3


@pytest.mark.parametrize("cells, lacks", [((FLOP,), "inverter"), ((INV % "!A",), "flip-flop"),
                                          ((FLOP, INV % "A"), "inverter")])
def test_a_library_that_nothing_can_be_mapped_to_is_refused(cells, lacks):
    with pytest.raises(LibertyError, match=f"library 'l' has no {lacks}, so nothing can be mapped to it"):
        cells_of(library(*cells))


@pytest.mark.parametrize("units, said", [
    ("time_unit : 1s;", "time_unit is '1s', must be one of 1ps"),
    ("capacitive_load_unit (1, farad);", "capacitive_load_unit is '1, farad', must be a number of ff or pf")])
def test_units_that_are_none(units, said):
    with pytest.raises(LibertyError, match=said):
        cells_of(library(FLOP, INV % "!A", units=units))


def test_a_table_is_bilinear_and_goes_on_beyond_its_ends():
    table = Table(np.array([0.0, 1.0, 3.0]), np.array([0.0, 10.0]), np.array([[0, 10], [2, 12], [6, 16.0]]))
    x, y = np.array([0.5, 2.0, -1.0, 4.0, 3.0]), np.array([5.0, 0.0, 10.0, 20.0, 10.0])
    np.testing.assert_allclose(table.at(x, y), 2 * x + y)
    scalar = Table(np.zeros(1), np.zeros(1), np.array([[7.0]]))
    np.testing.assert_array_equal(scalar.at(x, y), 7.0)


def test_the_compact_library():
    """Delays in nanoseconds, capacitances in femtofarads, of the size that sky130 has."""
    cells = technology("sky130").library.cells
    nand = cells["sky130_fd_sc_hd__nand2_1"]
    assert nand.area == pytest.approx(3.7536) and 1 < nand.pins["A"].capacitance < 4
    arc = nand.arcs[0]
    assert arc.sense == -1 and not arc.edge and 0.01 < arc.delay[0].at(0.05, 5.0) < 0.2
    flop = cells["sky130_fd_sc_hd__dfxtp_1"]
    assert flop.sequential and flop.pins["CLK"].clock
    assert [(arc.start, arc.end, arc.edge) for arc in flop.arcs] == [("CLK", "Q", True)]
    setup, = flop.setups
    assert (setup.pin, setup.clock) == ("D", "CLK") and 0 < setup.time[0].at(0.05, 0.05) < 0.3


def test_an_index_may_stand_in_a_template():
    text = """lu_table_template (t) { index_1 ("1, 2"); index_2 ("10, 20"); }
    cell (B) { area : 1; pin (A) { direction : input; } pin (Y) { direction : output; function : A;
      timing () { related_pin : A; timing_sense : positive_unate;
        cell_rise (t) { values ("1, 2, 3, 4"); } cell_fall (t) { values ("1, 2, 3, 4"); }
        rise_transition (t) { values ("1, 2, 3, 4"); } fall_transition (t) { values ("1, 2, 3, 4"); } } } }"""
    arc, = cells_of(library(FLOP, INV % "!A", text)).cells["B"].arcs
    assert arc.delay[0].at(0.0015, 15) == pytest.approx(0.0025)
    short = text.replace('cell_rise (t) { values ("1, 2, 3, 4")', 'cell_rise (t) { values ("1, 2, 3")')
    with pytest.raises(LibertyError, match="cell_rise has 3 values for an index of 2 by 2"):
        cells_of(library(FLOP, INV % "!A", short))


def test_which_variable_comes_first_is_the_librarys_choice():
    """A table over load and slew, and set-up over the slews of data and clock."""
    text = """lu_table_template (d) { variable_1 : total_output_net_capacitance;
      variable_2 : input_net_transition; index_1 ("10, 20"); index_2 ("1, 2, 3"); }
    lu_table_template (s) { variable_1 : constrained_pin_transition; variable_2 : related_pin_transition;
      index_1 ("1, 2"); index_2 ("5, 6, 7"); }
    cell (B) { area : 1; ff (i, n) { } pin (D) { direction : input; rise_capacitance : 2; capacitance : 3;
      timing () { related_pin : C; timing_type : setup_rising; rise_constraint (s) { values ("1,2,3,4,5,6"); }
        fall_constraint (s) { values ("1,2,3,4,5,6"); } } }
      pin (Y) { direction : output; timing () { related_pin : D; timing_sense : positive_unate; %s } } }"""
    tables = " ".join(f'{kind} (d) {{ values ("1, 2, 3, 4, 5, 6"); }}' for kind in (
        "cell_rise", "cell_fall", "rise_transition", "fall_transition"))
    cell = cells_of(library(FLOP, INV % "!A", text % tables)).cells["B"]
    assert cell.arcs[0].delay[0].at(0.002, 20) == pytest.approx(0.005)
    setup, = cell.setups
    assert setup.time[0].at(0.007, 0.001) == pytest.approx(0.003)        # slews of clock and data
    assert cell.pins["D"].loads == (2, 3)
