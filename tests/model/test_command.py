"""What commands have in common: bad input is one line and status 2, anything else passes through."""

import pytest

from model.command import refusing


@pytest.mark.parametrize("given, status", [(None, 0), (0, 0), (1, 1)])
def test_a_command_without_a_refusal_keeps_its_status(given, status, capsys):
    assert refusing("tool", ValueError)(lambda argv=None: given)([]) == status
    assert capsys.readouterr().err == ""


def test_a_refusal_is_one_line(capsys):
    @refusing("tool", KeyError, ValueError)
    def main(argv=None):
        raise ValueError("width is 3,\n  must be in 4..8")
    assert main([]) == 2
    assert capsys.readouterr().err == "tool: width is 3, must be in 4..8\n"


def test_what_is_no_refusal_passes_through():
    @refusing("tool", ValueError)
    def main(argv=None):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        main([])
