"""Any JSON is either a configuration that is elaborated, or refused in one line that says why.

The line names the parameter, its value and what is legal. Nothing else may come out: no traceback
and no failure inside a generator.
"""

import contextlib
import dataclasses
import io
import json
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gen.emit import Emitter
from gen.engines import ENGINES
from model.config import EngineConfig
from model.cta.config import HEAD_DIMS, SA_WIDTHS, CTAConfig
from model.cta.programs import PRODUCTS
from model.cta.table1 import TABLE_I
from model.errors import ConfigError
from model.fixed import Format
from model.lookup.config import LookupConfig
from tests.model.cta.programs import program

REFUSAL = re.compile(r".+ is .+, must be .+|.+ key .+ is unknown, must be one of .+", re.DOTALL)
"""A parameter, its value, what is legal."""

SMALL = {"cta": dict(b=2, d=8, l=2, n=6), "lookup": dict(d=8, h=2, tau=2, block=4, multipliers=4,
                                                         lanes=4, batch=2)}
JUNK = st.one_of(st.none(), st.booleans(), st.integers(-3, 70), st.integers(), st.floats(),
                 st.sampled_from(["", "7", "bh4", "é"]), st.lists(st.integers(), max_size=2),
                 st.dictionaries(st.sampled_from(["width", "x"]), st.integers(0, 9), max_size=2))


def formats(config):
    """Objects for ``fmt``: mostly near what is chosen, sometimes anything."""
    def one(name):
        chosen = getattr(config.FORMATS(), name)
        low, high = config.BUILDABLE[name]
        width = st.one_of(*[st.integers(low, high)] * 8, st.sampled_from([low, high]), JUNK)
        frac = st.one_of(*[st.just(chosen.frac)] * 4, *[st.integers(0, low)] * 4, JUNK)
        return st.fixed_dictionaries({}, optional={
            "signed": st.one_of(*[st.just(chosen.signed)] * 12, JUNK),
            "width": width, "frac": frac})

    names = [f.name for f in dataclasses.fields(config.FORMATS)]
    legal = st.fixed_dictionaries({}, optional={name: one(name) for name in names})
    return st.one_of(*[legal] * 5, JUNK)


def objects(engine):
    """Configurations as JSON objects: small engines with a few keys of any kind."""
    config = ENGINES[engine].config
    likely = {"b": st.sampled_from(SA_WIDTHS[:2]), "pag": st.sampled_from([0, 2, 4]),
              "digit": st.sampled_from([1, 2, 4]), "dw": st.sampled_from([0, 8, 16, 24]),
              "tokens": st.sampled_from([0, 6, 9, 12]), "exact": st.integers(0, 6),
              "sums": st.sampled_from([1, 2]), "ahead": st.booleans(),
              "k0": st.integers(0, 6), "k1": st.integers(0, 6), "k2": st.integers(0, 6),
              "lanes": st.sampled_from([0, 4, 8]), "l": st.integers(1, 8),
              "projection": st.sampled_from(["bh4", "dense"]), "tau": st.integers(1, 4),
              "tables": st.sampled_from(["external", "internal"]), "block": st.sampled_from([4, 8]),
              "program": st.sampled_from([value.as_dict() for value in (
                  TABLE_I, program((1, 2, 0)), program(overlap=False))]),
              "products": st.sampled_from(PRODUCTS), "neighbours": st.booleans(),
              "gelu_scaled": st.booleans(), "residual": st.booleans(), "tile": st.booleans()}
    likely |= {name: st.one_of(st.sampled_from([c.low, c.high]), st.integers(c.low, c.high))
               for name, c in config.CONSTANTS.items()}
    optional = {"unknown": JUNK, "fmt": formats(config)}
    for field in dataclasses.fields(config):
        if field.name in likely:
            optional[field.name] = st.one_of(*[likely[field.name]] * 12, JUNK)
        elif field.name not in optional:
            optional[field.name] = st.one_of(*[st.just(SMALL[engine].get(field.name, 1))] * 12, JUNK)
    few = st.lists(st.sampled_from(sorted(optional)), max_size=6, unique=True)
    return few.flatmap(lambda names: st.fixed_dictionaries(
        {name: optional[name] for name in names})).map(lambda found: {**SMALL[engine], **found})


def elaborate(engine, data):
    """The configuration's RTLIL, or None where it is refused in one proper line."""
    config, component = ENGINES[engine].config, ENGINES[engine].component
    try:
        cfg = config.from_dict(data)
        top = component(cfg)
    except ConfigError as error:
        assert REFUSAL.fullmatch(str(error)) and "\n" not in str(error), str(error)
        return None
    assert config.from_dict(json.loads(json.dumps(cfg.as_dict()))) == cfg
    emitter = Emitter()
    emitter.convert(top, engine)
    return emitter.rtlil()


EXAMPLES = {"cta": 40, "lookup": 60}      # an elaboration takes a second


@pytest.mark.reliability
@pytest.mark.parametrize("engine", ENGINES)
def test_any_object(engine, tried):
    counts = {"elaborated": 0, "refused": 0}

    @settings(max_examples=EXAMPLES[engine], deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))
    @given(objects(engine))
    def check(data):
        counts["refused" if elaborate(engine, data) is None else "elaborated"] += 1

    check()
    assert min(counts.values()) > 5, counts
    tried("configuration", **counts)


@pytest.mark.reliability
@pytest.mark.nightly
@pytest.mark.parametrize("engine", ENGINES)
def test_many_objects(engine, tried):
    counts = {"elaborated": 0, "refused": 0}

    @settings(max_examples=1500, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))
    @given(objects(engine))
    def check(data):
        counts["refused" if elaborate(engine, data) is None else "elaborated"] += 1

    check()
    tried("configuration", **counts)


TEXTS = st.one_of(
    st.recursive(JUNK, lambda inner: st.dictionaries(st.sampled_from(["b", "fmt", "d"]), inner),
                 max_leaves=4).map(json.dumps),
    st.text(max_size=20), st.sampled_from([
        '{"b": 4, "b": 8}', '{"n": NaN}', '{"n": Infinity}', "[" * 100_000, "{", "", "null",
        '{"n": 1e400}', '{"n": ' + "9" * 5000 + "}", '{"fmt": {"token": {"width": -0}}}']))


@pytest.mark.reliability
@pytest.mark.parametrize("engine", ENGINES)
def test_any_file(engine, tmp_path, tried):
    """The command line: status 2 and one line, whatever the file holds."""
    path, command = tmp_path / "config.json", ENGINES[engine]

    @settings(max_examples=150, deadline=None, derandomize=True, database=None)
    @given(TEXTS)
    @example("\ufeff{}")
    @example('{"fmt": {"score": {"width": 4, "frac": 8}}}')
    def check(text):
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        assert refusal(command, ["--config", str(path), "--b" if engine == "cta" else "--h", "-1"])
        tried("configuration", files=1)

    check()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("value", ["0", "-1", "3.5", "", "x", "٣", "9" * 5000, "1e3", "None"])
def test_any_flag(engine, value):
    for name in ENGINES[engine].parameters:
        field = getattr(ENGINES[engine].config(), name)
        if not isinstance(field, bool) and not (field == 0 or value == "0"):
            assert refusal(ENGINES[engine], [f"--{name}={value}"]), name


def refusal(command, words):
    """The one line of a refusal."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            status = command.main(words)
        except SystemExit as stop:
            status = stop.code
    text = err.getvalue()
    assert status == 2 and out.getvalue() == "", (status, text)
    assert text.endswith("\n") and text.count("\n") == 1, text
    return text


@pytest.mark.reliability
@pytest.mark.parametrize("config", [CTAConfig, LookupConfig])
def test_every_number_is_in_the_digest(config, tried):
    """Another legal value of any field, constant or part of a format is another digest."""
    cfg = config()
    seen = {cfg.digest: "the default"}
    other = {"b": 4, "d": 32, "dw": 128, "l": 5, "n": 99, "tokens": 600, "exact": 99,
             "sums": 2, "aps": 2, "ahead": False, "k0": 9, "k1": 9, "k2": 9, "pag": 4,
             "sets": 2, "lanes": 16, "digit": 1, "h": 3, "tau": 3, "block": 32,
             "projection": "dense", "program": program(), "neighbours": True,
             "gelu_scaled": False, "residual": True, "tile": False, "multipliers": 64, "batch": 3,
             "tables": "internal", "outstanding": 8}
    for field in dataclasses.fields(config):
        if field.name == "fmt":
            continue
        if field.name == "products":       # of a program whose weights stay
            assert config(dw=128, products="fast").digest != config(dw=128).digest
            continue
        value = other[field.name] if field.name in other else getattr(cfg, field.name) - 1
        shrunk = {"h": 2} if value == "internal" else {}
        digest = config(**{field.name: value}, **shrunk).digest
        assert digest not in seen, f"{field.name} and {seen[digest]}"
        seen[digest] = field.name
    for item in dataclasses.fields(config.FORMATS):
        fmt = getattr(cfg.fmt, item.name)
        wider = dataclasses.replace(fmt, width=fmt.width + 2)
        digest = dataclasses.replace(cfg, fmt=dataclasses.replace(cfg.fmt,
                                                                  **{item.name: wider})).digest
        assert digest not in seen, f"fmt.{item.name} and {seen[digest]}"
        seen[digest] = f"fmt.{item.name}"
    tried("configuration", fields_in_the_digest=len(seen) - 1)


@pytest.mark.parametrize("config", [CTAConfig, LookupConfig])
def test_no_constant_hides_in_the_class(config):
    """What a subclass could change beside the digest: any number of the class that is no field."""
    fields = {f.name for f in dataclasses.fields(config)}
    for kind in (config, EngineConfig, config.FORMATS):
        for name, value in vars(kind).items():
            if name.startswith("__") or name in fields | {f.name for f in
                                                          dataclasses.fields(config.FORMATS)}:
                continue
            assert not isinstance(value, (int, float, np.ndarray, Format)), f"{kind}.{name}"
    assert config.CONSTANTS.keys() <= fields


def test_head_dimensions_are_those_of_the_message():
    """The fuzz above draws from the module's own tables."""
    assert set(HEAD_DIMS) >= {8} and set(SA_WIDTHS) >= {2, 4}
