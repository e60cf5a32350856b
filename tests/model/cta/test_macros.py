"""The list of memories, against what the generator builds."""

from collections import Counter

import pytest

from gen.emit import emit_all
from gen.engines import ENGINES
from model.cta.config import CTAConfig
from model.cta.macros import macros
from model.memory_area import Macro


@pytest.mark.parametrize("cfg", [
    CTAConfig(b=2, d=8, l=2, n=16), CTAConfig(b=4, d=8, dw=24, l=3, n=40, pag=2, sums=2, sets=2),
    CTAConfig(b=2, d=8, l=5, n=100, digit=4, exact=20, tokens=180, k1=70)], ids=lambda cfg: cfg.digest)
def test_the_list_is_that_of_the_verilog(cfg):
    emitted = emit_all(ENGINES["cta"].component(cfg))
    assert macros(cfg) == Counter({Macro(memory["module"], memory["depth"], memory["width"]): memory["count"]
                                   for memory in emitted.memories})
