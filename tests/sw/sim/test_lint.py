"""Lint of any engine and any configuration; what a user sees of it."""

import pytest

from gen.engines import ENGINES
from sw.sim import lint

SMALL = {"cta": ["--b", "2", "--d", "8", "--l", "2", "--n", "8"],
         "lookup": ["--d", "16", "--h", "4", "--tau", "3", "--block", "4", "--multipliers", "8",
                    "--lanes", "8", "--batch", "3"]}


@pytest.mark.parametrize("engine", ENGINES)
def test_any_configuration_of_any_engine(engine, capsys):
    assert lint.main([engine, *SMALL[engine]]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"gen.{engine} ") and ": clean (Verilator " in said


def test_every_engine_where_none_is_named(monkeypatch, capsys):
    monkeypatch.setattr(lint, "warnings", lambda name, cfg: "")
    assert lint.main([]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        f"gen.{name}" for name in ENGINES]


def test_a_warning_fails(monkeypatch, capsys):
    monkeypatch.setattr(lint, "emit_all", _with_a_fault)
    assert lint.main(["lookup", *SMALL["lookup"]]) == 1
    assert "%Warning-" in capsys.readouterr().out


def _with_a_fault(component, **options):
    """The engine with a sum that does not fit where it goes."""
    from gen.emit import emit_all
    emitted = emit_all(component, **options)
    fault = "\n  wire [1:0] narrow;\n  assign narrow = 8'd7;\nendmodule\n"
    head, _, tail = emitted.text.rpartition("endmodule\n")

    class Faulty:
        text = head.rstrip() + fault + tail
    return Faulty


@pytest.mark.parametrize("arguments, message", [
    (["cta", "--b", "3"], "b is 3, must be one of"),
    (["cta", "--config", "no such file"], "no such file"),
])
def test_refusals(arguments, message, capsys):
    assert lint.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_engine(capsys):
    with pytest.raises(SystemExit) as ended:
        lint.main(["gemmini"])
    assert ended.value.code == 2
    assert "cta" in capsys.readouterr().err
