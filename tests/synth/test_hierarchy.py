"""The timing graph of a design: instances, ports that are one net, ports that do not change."""

import pytest

from model.errors import ConfigError
from synth.hierarchy import graph_of
from synth.timing import arrivals, worst_paths
from tests.synth.linear import library, module

STAGE = module("stage", {"g": ("INV", {"A": "a", "Y": "y"})}, {"a": "a"}, {"y": "y"})
THROUGH = module("through", {"f": ("DFF", {"C": "clk", "D": "a", "Q": "q"})},
                 {"clk": "clk", "a": "a"}, {"y": "a", "q": "q"})


def graph(*modules, static=None):
    netlists = {each.name: each for each in modules}
    return graph_of(netlists, list(netlists), library().cells, static)


def top(**cells):
    return module("top", {"a": ("DFF", {"C": "clk", "D": "d", "Q": "q"}),
                          "b": ("DFF", {"C": "clk", "D": "x", "Q": "o"}), **cells},
                  {"clk": "clk", "d": "d"}, {"o": "o"})


def worst(*modules, static=None):
    found = graph(*modules, static=static)
    return {path.block: path for path in worst_paths(found, arrivals(found), 1.0)}


def test_instances_are_those_of_a_flat_netlist():
    """Two stages in a row, as modules and as cells."""
    deep = worst(STAGE, top(s=("stage", {"a": "q", "y": "n"}), t=("stage", {"a": "n", "y": "x"})))["top"]
    flat = worst(top(s=("INV", {"A": "q", "Y": "n"}), t=("INV", {"A": "n", "Y": "x"})))["top"]
    assert deep.slack == pytest.approx(flat.slack)
    assert [step.name for step in deep.steps] == ["a", "s.g", "t.g"]
    assert [step.delay for step in deep.steps] == pytest.approx([step.delay for step in flat.steps])


def test_loads_add_up_across_borders():
    found = graph(STAGE, top(**{f"s{k}": ("stage", {"a": "q", "y": f"y{k}"}) for k in range(3)}))
    assert sorted(found.load[::2])[-1] == 6.0            # three inverters of 2 fF


def test_a_port_that_goes_straight_through_is_the_same_net():
    paths = worst(THROUGH, top(t=("through", {"clk": "clk", "a": "q", "y": "n", "q": "open"}),
                               g=("INV", {"A": "n", "Y": "x"})))
    # Q drives the flip-flop inside (1 fF) and the inverter outside (2 fF).
    assert paths["top"].steps[0].delay == pytest.approx(0.063)
    assert paths["through"].end == "t.f" and paths["through"].start == "a"


def test_what_does_not_change_ends_no_path_but_loads_its_driver():
    design = THROUGH, top(t=("through", {"clk": "clk", "a": "q", "q": "open"}),
                          g=("INV", {"A": "q", "Y": "x"}))
    for static in ({"through": ("a",)}, {"through": ("a", "none")}):
        paths = worst(*design, static=static)
        assert set(paths) == {"top"} and paths["top"].steps[0].delay == pytest.approx(0.063)


def test_fields_of_a_port_go_with_it():
    inner = module("inner", {"f": ("DFF", {"C": "clk", "D": "a", "Q": "q"})},
                   {"clk": "clk", "job__a": "a", "jobs": "b"}, {"q": "q"})
    design = inner, top(t=("inner", {"clk": "clk", "job__a": "q", "q": "open"}))
    assert "inner" in worst(*design) and "inner" not in worst(*design, static={"inner": ("job",)})
    assert "inner" in worst(*design, static={"inner": ("jo", "job__")})


def test_a_cell_that_there_is_not():
    with pytest.raises(ConfigError, match="module top: the library has no cell XOR"):
        graph(top(g=("XOR", {"A": "q", "Y": "x"})))
