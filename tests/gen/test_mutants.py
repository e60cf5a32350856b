"""Mutants follow their block: an edit whose line is gone, or that changes nothing, is an error."""

import pytest

from gen.cta.pe import PE
from tests.gen.mutants import each_found, edited


@pytest.mark.parametrize("old, new, method, said", [
    ("no such line", "1", "elaborate", "PE.elaborate has 'no such line' 0 times, must have it once"),
    ("m", "n", "elaborate", "PE.elaborate has 'm' [0-9]+ times, must have it once"),
    ("m = Module()", "m = (Module())", "elaborate", "PE.elaborate does the same with")])
def test_an_edit_that_is_none_is_refused(old, new, method, said):
    with pytest.raises(ValueError, match=said):
        edited(PE, old, new, method)


def found(edits, play):
    """Runs the only case of the test that ``each_found`` makes."""
    name, = edits
    each_found(PE, edits, play)(name)


def test_a_mutant_that_nothing_finds_fails():
    """So does one whose line is gone: the assertion that is awaited does not hide it."""
    whole = {"other module": ("m = Module()", "m = Module() or None")}
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        found(whole, lambda block: None)
    with pytest.raises(ValueError, match="must have it once"):
        found({"gone": ("no such line", "1")}, lambda block: None)

    def wrong(block):
        raise AssertionError("seed 1: differs")

    found(whole, wrong)
