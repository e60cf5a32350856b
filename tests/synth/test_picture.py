"""The picture of a synthesis."""

import pytest

from model.errors import ConfigError
from synth.area import area
from synth.mapping import Mapped
from synth.picture import SHOWN, draw
from synth.sram import macro
from synth.technology import technology

pytest.importorskip("matplotlib", reason="needs the plot extra")

INV, FLOP = "sky130_fd_sc_hd__inv_1", "sky130_fd_sc_hd__dfxtp_1"


def design(blocks):
    rams = [f"hl_sram_1r1w_{16 * (at + 1)}x4" for at in range(blocks)]
    found = {f"b{at}": Mapped(f"b{at}", {INV: at + 1, FLOP: 1}, {}, {ram: 1}) for at, ram in enumerate(rams)}
    found["top"] = Mapped("top", {INV: 1}, {f"b{at}": at + 1 for at in range(blocks)}, {})
    return area(found, list(found), {ram: macro(ram) for ram in rams}, technology("45nm"))


@pytest.mark.parametrize("blocks", [0, 2, SHOWN + 4])
def test_the_largest_are_named_and_the_rest_is_one_bar(blocks, tmp_path):
    draw(design(blocks), "cta", tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert text.startswith("<?xml") and "cta, 45nm" in text
    assert ("5 more" in text) is (blocks > SHOWN)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_same_design_gives_the_same_picture(kind, tmp_path):
    for name in "ab":
        draw(design(3), "cta", tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="must end in one of .svg, .png, .pdf"):
        draw(design(1), "cta", tmp_path / "a.jpg")
