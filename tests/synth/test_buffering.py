"""Trees of buffers: what they save, and that the logic stays what it was."""

import pytest

from synth.buffering import LEVELS, buffered, buffers
from synth.hierarchy import graph_of
from synth.timing import arrivals, worst_paths
from tests.synth.linear import library, module

LEAF = module("leaf", {"f": ("DFF", {"C": "clk", "D": "a", "Q": "q"})}, {"clk": "clk", "a": "a"}, {"q": "q"})


def fan_out(leaves: int):
    """A flip-flop that drives as many modules."""
    return module("top", {"a": ("DFF", {"C": "clk", "D": "d", "Q": "q"}), **{
        f"l{at}": ("leaf", {"clk": "clk", "a": "q", "q": f"o{at}"}) for at in range(leaves)}},
        {"clk": "clk", "d": "d"})


def worst(netlists, cells=None):
    graph = graph_of(netlists, list(netlists), cells or library().cells)
    return worst_paths(graph, arrivals(graph), 1.0)[0]


def drivers(netlist):
    """The kind and the input net of the cell that drives each net."""
    return {cell.pins[out][0]: cell for cell in netlist.cells for out in ("Q", "Y") if out in cell.pins}


def test_the_cells_that_are_buffers():
    assert [cell.name for cell in buffers(library())] == ["BUF"]


def test_a_register_that_leads_to_many_modules_gets_a_tree():
    """64 inputs of 1 fF take the flip-flop 0.124 ns; a buffer behind it takes 0.0224 + 0.0064."""
    design = {"leaf": LEAF, "top": fan_out(64)}
    bare = worst(design)
    assert bare.steps[0].delay == pytest.approx(0.06 + 0.064)
    made, added = buffered(design, ["leaf", "top"], library(), library().cells)
    assert added == {"leaf": {}, "top": {"BUF": added["top"]["BUF"]}} and 1 <= added["top"]["BUF"] <= 4
    path = worst(made)
    assert [step.kind for step in path.steps] == ["DFF", "BUF"]
    number = added["top"]["BUF"]
    assert path.slack == pytest.approx(1 - 0.04 - (0.06 + 0.002 * number)
                                       - (0.02 + (0.02 + 0.004 * number) / 10 + 0.0001 * -(-64 // number)))
    assert path.slack > bare.slack + 0.01


@pytest.mark.parametrize("leaves, levels", [(64, 1), (3000, 2)])
def test_levels(leaves, levels):
    made, _ = buffered({"leaf": LEAF, "top": fan_out(leaves)}, ["leaf", "top"], library(), library().cells)
    assert [step.kind for step in worst(made).steps] == ["DFF", *["BUF"] * levels]


def test_all_sinks_keep_their_signal():
    made, _ = buffered({"leaf": LEAF, "top": fan_out(300)}, ["leaf", "top"], library(), library().cells)
    before = drivers(made["top"])
    for cell in made["top"].cells:
        if cell.kind == "leaf":
            net, steps = cell.pins["a"][0], 0
            while before[net].kind == "BUF":
                net, steps = before[net].pins["A"][0], steps + 1
            assert before[net].name == "a" and steps <= LEVELS
            assert cell.pins["clk"] == made["top"].inputs["clk"]
    assert made["top"].inputs == fan_out(300).inputs and made["top"].names == fan_out(300).names


def test_a_light_net_and_a_clock_are_left_alone():
    for leaves in (1, 8):
        design = {"leaf": LEAF, "top": fan_out(leaves)}
        assert buffered(design, ["leaf", "top"], library(), library().cells)[0] == design


def test_inside_a_module_and_at_its_input():
    """An input of a module that has 200 sinks gets its tree inside, so that it is light from outside."""
    inner = module("inner", {f"g{at}": ("INV", {"A": "a", "Y": f"y{at}"}) for at in range(200)}, {"a": "a"})
    top = module("top", {"a": ("DFF", {"C": "clk", "D": "d", "Q": "q"}), "i": ("inner", {"a": "q"})},
                 {"clk": "clk", "d": "d"})
    made, added = buffered({"inner": inner, "top": top}, ["inner", "top"], library(), library().cells)
    assert added["inner"]["BUF"] > 1
    at_the_port = [cell for cell in made["inner"].cells if cell.pins["A"] == inner.inputs["a"]]
    assert 0 < len(at_the_port) < 50 and all(cell.kind == "BUF" for cell in at_the_port)


def test_a_library_without_buffers_changes_nothing():
    bare = library("BUF")
    design = {"leaf": LEAF, "top": fan_out(64)}
    made, added = buffered(design, ["leaf", "top"], bare, bare.cells)
    assert made == design and added == {"leaf": {}, "top": {}}
