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
    LookupConfig(d=24, h=5, tau=3, projection="dense", multipliers=16, lanes=4, batch=5),
    LookupConfig(d=24, h=5, tau=3, block=8, multipliers=16, lanes=4, tile=False)],
    ids=lambda cfg: cfg.digest)
def test_the_list_is_that_of_the_verilog(cfg):
    emitted = emit_all(ENGINES["lookup"].component(cfg))
    assert macros(cfg) == Counter({Macro(memory["module"], memory["depth"], memory["width"]): memory["count"]
                                   for memory in emitted.memories})


def test_what_the_tile_takes():
    """2.1 Mbit of 6.1, and another 1.2 of rows and sums that only a batch keeps (docs/results/engines.md)."""
    def mbit(cfg):
        return sum(macro.bits * count for macro, count in macros(cfg).items()) / 1e6

    assert [round(mbit(LookupConfig(**how)), 2) for how in ({}, {"batch": 1}, {"tile": False})] == [
        6.09, 4.88, 2.78]
