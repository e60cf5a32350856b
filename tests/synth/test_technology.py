"""Technologies by name and by file."""

import pytest

from model.errors import ConfigError
from synth.technology import NAMES, of_liberty, technology


@pytest.mark.parametrize("name", NAMES)
def test_every_one_says_what_it_rests_on(name):
    found = technology(name)
    assert found.name == name and found.corner and found.licence == "Apache-2.0"
    assert len(found.notes) >= 2 and all(note[0].islower() for note in found.notes)
    assert ("scaled" in found.corner) is (name != "sky130")


def test_one_that_there_is_not():
    with pytest.raises(ConfigError, match="technology is '3nm', must be one of 45nm"):
        technology("3nm")


def test_a_liberty_of_ones_own(tmp_path):
    (tmp_path / "mine.lib").write_text(technology("sky130").liberty)
    found = of_liberty(tmp_path / "mine.lib")
    assert found.name == "mine.lib" and found.corner == "1.8 V, 25 °C" and found.scale == 1
    cell = "sky130_fd_sc_hd__nand2_1"
    assert found.cell_area(cell) == technology("sky130").cell_area(cell) == pytest.approx(3.7536)
