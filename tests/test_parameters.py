"""A parameter is declared once: refusals, commands and the page follow the declaration."""

import dataclasses
import re
from fractions import Fraction

import pytest

from docs.site import parameters
from gen import __main__ as emit
from gen.engines import ENGINES
from model.config import Parameter
from model.errors import ConfigError
from sw.run.command import main


def run_help(engine, capsys):
    with pytest.raises(SystemExit):
        main([engine, "--help"])
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("engine, name", [("cta", "sets"), ("cta", "k1"), ("lookup", "batch")])
def test_a_changed_declaration_is_seen_everywhere(engine, name, monkeypatch, capsys):
    config = ENGINES[engine].config
    changed = Parameter("a thing of its own", "values of its own", "none", "An effect of its own.")
    assert "of its own" not in run_help(engine, capsys) + parameters.page()
    monkeypatch.setitem(config.PARAMETERS, name, changed)
    with pytest.raises(ConfigError, match=f"{name} is '1', must be an integer, values of its own"):
        config(**{name: "1"})
    line = "a thing of its own, values of its own (default none)"
    assert config.parameter_help()[name] == line
    with pytest.raises(SystemExit):
        emit.main([engine, "--help"])
    assert line in " ".join(capsys.readouterr().out.split())
    assert line in run_help(engine, capsys)
    assert (f"| `{name}` | a thing of its own. An effect of its own. | values of its own | none |"
            in parameters.page())


@pytest.mark.parametrize("engine", ENGINES)
def test_every_field_is_declared_and_no_other(engine):
    config, command = ENGINES[engine].config, ENGINES[engine]
    fields = [f.name for f in dataclasses.fields(config)
              if f.name != "fmt"]
    assert [*config.PARAMETERS, *config.CONSTANTS] == fields == list(command.parameters)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_defaults_told_are_those_taken(engine):
    """Where a default is another parameter's, by its value."""
    config = ENGINES[engine].config()
    for name, each in config.PARAMETERS.items():
        value = getattr(config, name)
        share = re.match(r"(\S+) n, at least (\d+)$", each.default)
        told = {"yes": True, "no": False, "2b": 2 * getattr(config, "b", 0),
                "2 where weights stay, else 1": 1, "weights for dw > d, else table1": "table1"}.get(
            each.default, getattr(config, each.default, each.default))
        if share:
            told = max(int(share[2]), int(Fraction(share[1]) * config.n))
        assert str(value) == str(told), name
