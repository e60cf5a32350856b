"""Emitted Verilog, module by module."""

import pytest

from gen.emit import emit_all
from gen.engines import ENGINES
from model.errors import ConfigError
from synth.verilog import modules, order

SMALL = {"cta": dict(b=2, d=8, l=2, n=8),
         "lookup": dict(d=16, h=4, tau=3, block=4, multipliers=8, lanes=8, batch=3)}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_module_of_an_engine_is_reached_once(engine):
    command = ENGINES[engine]
    emitted = emit_all(command.component(command.config(**SMALL[engine])))
    found = modules(emitted.text)
    names = order(found, emitted.name)
    assert sorted(names) == sorted(found) and names[-1] == emitted.name
    for at, name in enumerate(names):
        assert all(child in names[:at] or child.startswith("hl_sram_") for child in found[name].children)
    assert {child for module in found.values() for child in module.children if child not in found} == {
        f"{m['module']}_{m['depth']}x{m['width']}" for m in emitted.memories}
    assert not any("hl_sram_1r1w #(" in module.text for module in found.values())


def test_a_top_that_is_not_there():
    with pytest.raises(ConfigError, match="top is 'b', must be a module of the file"):
        order(modules("module a (\n);\nendmodule\n"), "b")
