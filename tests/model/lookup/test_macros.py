"""The list of memories, against what the generator builds."""

from collections import Counter

import pytest

from gen.emit import emit_all
from gen.engines import ENGINES
from model.lookup.config import LookupConfig
from model.lookup.macros import macros
from model.memory_area import Macro


@pytest.mark.parametrize("cfg", [
    LookupConfig(d=16, h=4, tau=3, block=4, multipliers=8, lanes=8, batch=3),
    LookupConfig(d=128, h=4, tau=3, block=64, multipliers=64, lanes=32, batch=5, tables="internal",
                 neighbours=True),
    LookupConfig(d=24, h=5, tau=3, projection="dense", multipliers=16, lanes=4, batch=5)],
    ids=lambda cfg: cfg.digest)
def test_the_list_is_that_of_the_verilog(cfg):
    emitted = emit_all(ENGINES["lookup"].component(cfg))
    assert macros(cfg) == Counter({Macro(memory["module"], memory["depth"], memory["width"]): memory["count"]
                                   for memory in emitted.memories})
