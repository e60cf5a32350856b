"""Area from counts: what is refused, and that more of something is never less."""

from collections import Counter

import pytest

from model.accelerator import NotMeasured
from model.area import area_um2, gates
from model.cta.area import area
from model.cta.config import CTAConfig
from model.cta.macros import macros
from model.errors import ConfigError
from model.lookup.area import area as lookup_area
from model.lookup.config import LookupConfig
from model.memory_area import Macro
from model.technology import costs


def test_counts_that_were_not_fitted():
    with pytest.raises(NotMeasured, match="area of pe of cta was not fitted to wings"):
        gates("cta", {"pe": {"wings": 2}})
    with pytest.raises(NotMeasured, match="area of pe of rocket"):
        gates("rocket", {"pe": {"pe": 1}})


def test_cells_and_memories_add_up():
    memory = Counter({Macro("hl_sram_1r1w", 64, 8): 3})
    found = area_um2("cta", {}, memory, "45nm")
    assert found == pytest.approx(3 * costs("45nm").memory.area(Macro("hl_sram_1r1w", 64, 8)))
    with pytest.raises(ConfigError, match="technology is '7nm', must be one of 45nm, 40nm, sky130"):
        area_um2("cta", {}, memory, "7nm")


def test_more_is_larger_and_smaller_nodes_are_smaller():
    sizes = [area(CTAConfig(b=b), "45nm") for b in (4, 8, 16)]
    assert sizes == sorted(sizes) and sizes[2] > 1.3 * sizes[1]
    assert area(CTAConfig(), "40nm") == pytest.approx((40 / 45) ** 2 * area(CTAConfig(), "45nm"))
    memories = sum(costs("45nm").memory.area(one) * n for one, n in macros(CTAConfig()).items())
    assert 1.4e6 < area(CTAConfig(), "45nm") - memories < 1.7e6


def test_an_engine_that_was_not_fitted_is_not_guessed(monkeypatch):
    monkeypatch.setattr("model.area.fit_data", dict)
    with pytest.raises(NotMeasured, match="area of dot_product of lookup was not fitted to multiplier"):
        lookup_area(LookupConfig(), "45nm")


def test_formats_that_the_fit_has_not_seen():
    with pytest.raises(NotMeasured, match="fitted to the default formats and constants alone"):
        area(CTAConfig(exp_mantissa=10), "45nm")
    with pytest.raises(NotMeasured, match="fitted to the default formats and constants alone"):
        lookup_area(LookupConfig(exp_mantissa=10), "45nm")
