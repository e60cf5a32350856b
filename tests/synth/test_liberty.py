"""Liberty files: read, refused with the line, written and read back."""

import gzip

import pytest

from synth.liberty import LibertyError, parse, read, written

SMALL = """/* a comment { */
library (small) {
  time_unit : "1ns"; capacitive_load_unit (1, pf);
  cell (INV) { area : 1.5; pin (A) { direction : input; capacitance : 0.002; }
    pin ("Y") { function : "(!A)"; // to the end of the line
      timing () { related_pin : "A";
        cell_rise (t) { index_1 ("0.1, 0.2"); values ("1, 2", \\
          "3, 4"); } } } }
}
"""


def test_groups_attributes_and_numbers():
    library = parse(SMALL)
    assert library.name == "small" and library.attributes["capacitive_load_unit"] == "1, pf"
    cell, = library.children("cell")
    assert cell.number("area") == 1.5 and [pin.name for pin in cell.children("pin")] == ["A", "Y"]
    timing, = list(cell.children("pin"))[1].children("timing")
    table, = timing.children("cell_rise")
    assert table.numbers("values") == [1, 2, 3, 4] and table.numbers("index_2") == []
    assert cell.number("leakage", 0.25) == 0.25


def test_what_is_written_reads_back():
    library = parse(SMALL)
    assert parse(written(library)) == library


@pytest.mark.parametrize("text, reason", [
    ("", "there is no library in line the end"), ("cell (x) {}", "there is no library in line 1"),
    (SMALL[:-3], "the text ends in line the end"),
    ("library (a) {\n b c; }", "neither an attribute nor a group in line 2"),
    ("library a {}", "'a' stands for '(' in line 1")])
def test_what_is_no_liberty_is_refused_by_line(text, reason):
    with pytest.raises(LibertyError) as error:
        parse(text, "x.lib")
    assert str(error.value) == f"x.lib is no Liberty file: {reason}" or reason in str(error.value)
    assert "\n" not in str(error.value)


def test_numbers_that_are_none_are_named():
    cell, = parse("library (a) { cell (X) { area : big; values (\"1, two\"); } }").children("cell")
    with pytest.raises(LibertyError, match="area of cell 'X' is 'big', must be a number"):
        cell.number("area")
    with pytest.raises(LibertyError, match="values of cell 'X' holds '1, two', must be numbers"):
        cell.numbers("values")


def test_a_file_may_be_gzipped(tmp_path):
    (tmp_path / "a.lib.gz").write_bytes(gzip.compress(SMALL.encode()))
    assert read(tmp_path / "a.lib.gz") == parse(SMALL)
    (tmp_path / "cut.lib.gz").write_bytes(gzip.compress(SMALL.encode())[:-12])
    for name in ("cut.lib.gz", "none.lib"):
        with pytest.raises(LibertyError, match=f"{name} cannot be read: "):
            read(tmp_path / name)
