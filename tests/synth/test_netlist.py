"""Netlists from what Yosys writes."""

import json

import pytest

from model.errors import ConfigError
from synth.netlist import CONSTANT, ONE, of_plain, of_yosys

MODULE = {
    "ports": {"clk": {"direction": "input", "bits": [2]}, "a": {"direction": "input", "bits": [9, 3]},
              "y": {"direction": "output", "bits": [7, "0"]}},
    "cells": {
        "$abc$1": {"hide_name": 1, "type": "NAND", "connections": {"A": [9], "B": ["1"], "Y": [5]}},
        "state": {"hide_name": 0, "type": "DFF", "connections": {"C": [2], "D": [5], "Q": [7]}},
        "$scope": {"type": "$scopeinfo", "connections": {}}},
    "netnames": {"y": {"hide_name": 0, "bits": [7, "0"]}, "q": {"hide_name": 0, "bits": [7]},
                 "$n": {"hide_name": 1, "bits": [5]}, "gone": {"hide_name": 0, "bits": [99]}}}


def test_ports_cells_and_names():
    found = of_yosys("m", MODULE)
    clk, a0, a1, y, between = range(5)
    assert found.inputs == {"clk": (clk,), "a": (a0, a1)} and found.outputs == {"y": (y, CONSTANT)}
    assert [(cell.name, cell.kind) for cell in found.cells] == [("", "NAND"), ("state", "DFF")]
    assert found.cells[0].pins == {"A": (a0,), "B": (ONE,), "Y": (between,)}
    assert found.names == {y: "q"}                      # the shorter of two
    assert found.nets == 5 and found.counts() == {"NAND": 1, "DFF": 1}


def test_a_file_gives_it_back():
    found = of_yosys("m", MODULE)
    assert of_plain("m", json.loads(json.dumps(found.plain()))) == found
    with pytest.raises(KeyError):
        of_plain("m", {"cells": []})


def test_a_port_of_both_ways_is_refused():
    with pytest.raises(ConfigError, match="module m: port p is inout, must be input or output"):
        of_yosys("m", {"ports": {"p": {"direction": "inout", "bits": [2]}}, "cells": {}})
