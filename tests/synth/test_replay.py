"""Mapped modules played to inputs, by hand and against the Verilog."""

import numpy as np
import pytest

from model.errors import ConfigError
from synth.replay import Player
from tests.synth.linear import library, module

CELLS = {"n": ("NAND", {"A": "a", "B": "b", "Y": "x"}), "i": ("INV", {"A": "x", "Y": "y"}),
         "f": ("DFF", {"C": "clk", "D": "y", "Q": "q"})}


def an_and_with_a_register():
    return module("m", CELLS, {"clk": "clk", "a": "a", "b": "b"}, {"q": "q"})


def bits(*instances):
    return np.array(instances, np.uint8)[:, :, None]


def run(player, recorded, phases, number, *check):
    """Play bits (instances, cycles, width) by port, packed into rows as a record is."""
    places, columns, at = {}, [], 0
    for key, given in recorded.items():
        instances, _, width = given.shape
        places[key] = at + np.arange(instances * width).reshape(instances, width)
        columns.append(given.transpose(1, 0, 2).reshape(len(given[0]), -1))
        at += instances * width
    rows = np.packbits(np.concatenate(columns, 1), axis=1, bitorder="little")
    return player.run(rows, places, phases, number, *check)


def test_toggles_and_highs_by_hand():
    """Two instances over four cycles; the last two are another phase."""
    player = Player(an_and_with_a_register(), library())
    a, b = bits([0, 1, 1, 0], [1, 1, 1, 1]), bits([1, 1, 0, 0], [0, 1, 0, 1])
    q = bits([0, 0, 1, 0], [0, 0, 1, 0])
    found = run(player, {("", "a"): a, ("", "b"): b, ("", "q"): q}, np.array([0, 0, 1, 1]), 2)
    nets = {name: net for net, name in an_and_with_a_register().names.items()}
    assert found.toggles[:, nets["a"]].tolist() == [2, 1]      # at first all nets are 0
    assert found.toggles[:, nets["y"]].tolist() == [2, 3] and found.highs[:, nets["y"]].tolist() == [2, 1]
    assert found.toggles[:, nets["q"]].tolist() == [0, 4] and found.highs[:, nets["q"]].tolist() == [0, 2]
    assert found.wrong == {"q": 0} and found.compared == 2 * 3     # not yet set in the first cycle
    assert found.cycles.tolist() == [2, 2] and found.instances == 2


def test_an_output_that_is_not_as_recorded_is_seen():
    player = Player(an_and_with_a_register(), library())
    one = bits([1, 1, 1, 1])
    recorded = {("", "a"): one, ("", "b"): one, ("", "q"): bits([0, 1, 1, 0])}
    assert run(player, recorded, np.zeros(4), 1).wrong == {"q": 1}
    assert run(player, recorded, np.zeros(4), 1, 4).wrong == {"q": 0}
    assert run(player, recorded, np.zeros(4), 1, None).wrong == {}


def test_a_wrong_cell_is_seen():
    """A fault in the netlist: the NAND takes B twice."""
    broken = CELLS | {"n": ("NAND", {"A": "b", "B": "b", "Y": "x"})}
    netlist = module("m", broken, {"clk": "clk", "a": "a", "b": "b"}, {"q": "q"})
    random = np.random.default_rng(1)
    a, b = (random.integers(0, 2, (3, 50, 1), np.uint8) for _ in "ab")
    q = np.concatenate([np.zeros((3, 1, 1), np.uint8), (a & b)[:, :-1]], 1)
    recorded = {("", "a"): a, ("", "b"): b, ("", "q"): q}
    assert run(Player(an_and_with_a_register(), library()), recorded, np.zeros(50), 1).wrong == {"q": 0}
    assert run(Player(netlist, library()), recorded, np.zeros(50), 1).wrong["q"] > 20


def test_ties_and_what_is_inside():
    """A pin tied to 1; the output of a block inside is an input of the play."""
    netlist = module("m", {"s": ("inner", {"o": "b"}), **CELLS}, {"clk": "clk", "a": "a"}, {"q": "q"})
    tied = type(netlist)(netlist.name, {"clk": netlist.inputs["clk"]}, netlist.outputs, tuple(
        type(cell)(cell.name, cell.kind, {pin: (-2,) if pin == "A" and cell.kind == "NAND" else nets
                                          for pin, nets in cell.pins.items()}) for cell in netlist.cells),
        netlist.names)
    player = Player(tied, library())
    assert ("s", "o") in player.sources
    found = run(player, {("s", "o"): bits([1, 0, 1]), ("", "q"): bits([0, 1, 0])}, np.zeros(3), 1)
    assert found.wrong == {"q": 0}


def test_a_loop_is_refused():
    netlist = module("m", {"i": ("INV", {"A": "x", "Y": "y"}), "j": ("INV", {"A": "y", "Y": "x"})})
    with pytest.raises(ConfigError, match="module m: a loop of cells without a register"):
        Player(netlist, library())
