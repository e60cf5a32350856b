"""The docstring of every component in gen describes every port of it, and nothing else."""

import importlib
import inspect
import pkgutil
import re
from functools import cache

import pytest
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

import gen
import model.cta.timing
import model.lookup.timing
from gen.blocks.memory import PORTS, SRAM
from gen.contract import Contract, ContractError, contract, first_sentence, plain, port_texts, unflipped
from gen.cta.top import CTA
from gen.emit import Emitter
from gen.lookup.top import Lookup
from gen.manifest import ports
from model.cta.config import CTAConfig
from model.lookup.config import LookupConfig

TOPS = (
    CTA(CTAConfig(b=2, d=8, n=8, l=1)),
    CTA(CTAConfig(b=4, d=8, dw=16, n=20, l=5, k1=9, sets=2)),
    CTA(CTAConfig(b=2, d=8, dw=16, n=8, l=1, products="fast")),
    Lookup(LookupConfig(d=16, h=4, tau=3, block=4, multipliers=8, lanes=8, batch=3)),
    Lookup(LookupConfig(d=16, h=2, tau=3, projection="dense", tables="internal", batch=2,
                        multipliers=8, residual=True, neighbours=True)),
)
"""Engines in which every component is used, and every port that only some configurations have."""


@cache
def found() -> dict[type, list]:
    """Component class to the objects of it that the engines hold."""
    objects = {SRAM: [SRAM(width=3, depth=5, ports=ports) for ports in PORTS]}
    for top in TOPS:
        emitter = Emitter()
        emitter.convert(top, top.module_name)
        for component in emitter.components.values():
            objects.setdefault(type(component), []).append(component)
    return objects


def classes(base) -> list[type]:
    """All subclasses of ``base`` that a module of gen defines."""
    modules = [importlib.import_module(each.name)
               for each in pkgutil.walk_packages(gen.__path__, "gen.")
               if not each.name.endswith("__main__")]
    return [kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)
            if issubclass(kind, base) and kind.__module__ == module.__name__]


def name(kind: type) -> str:
    """``cta.Control``, for a block of either engine may be called so."""
    package = kind.__module__.split(".")[1]
    return f"{package}.{kind.__name__}" if package in ("cta", "lookup") else kind.__name__


COMPONENTS = classes(wiring.Component)
SIGNATURES = classes(wiring.Signature)


@pytest.fixture(params=COMPONENTS, ids=name)
def kind(request):
    return request.param


def length(written: str, component) -> int:
    """A length as a docstring writes it, by the component, its configuration and its timing."""
    cfg = getattr(component, "cfg", None)
    timing = model.lookup.timing if isinstance(cfg, LookupConfig) else model.cta.timing

    class Names(dict):
        def __missing__(self, name):
            for where in (component, cfg, getattr(cfg, "fmt", None)):
                if hasattr(where, name):
                    return getattr(where, name)
            if hasattr(timing, name):
                return getattr(timing, name)(cfg)
            raise KeyError(name)      # `min`

    return eval(written, {"__builtins__": {"min": min, "max": max}}, Names())


def test_every_component_is_built():
    missing = {name(each) for each in set(COMPONENTS) - set(found())}
    assert not missing, "no engine of this test has these"
    assert len(COMPONENTS) >= 60


def test_members_are_described(kind):
    described, there = contract(kind).members, set()
    for component in found()[kind]:
        for name, member in component.signature.members.items():
            there.add(name)
            assert name in described, f"{kind.__name__}.{name} is not described"
            written = tuple(length(each, component) for each in described[name].dimensions)
            assert written == tuple(member.dimensions), (
                f"{kind.__name__}.{name} is written with lengths {written}, has {member.dimensions}")
    assert not set(described) - there, f"{kind.__name__} has no such member"


@pytest.mark.parametrize("kind", SIGNATURES, ids=name)
def test_members_of_interfaces_are_described(kind):
    described = contract(kind).members
    used = [signature for objects in found().values() for each in objects
            for member in each.signature.members.values() if member.is_signature
            and type(signature := unflipped(member.signature)) is kind]
    assert used, f"no component has a {kind.__name__}"
    for signature in used:
        assert set(signature.members) <= set(described)
    assert set(described) == {member for signature in used for member in signature.members}


def test_descriptions_are_fit_for_verilog(kind):
    """A line for the module, a line for each port, of plain text."""
    told = contract(kind)
    assert re.fullmatch(r".*[^.]\.", told.summary), f"{told.summary!r} is no sentence in a line"
    assert len(told.summary) <= 97
    for name, member in told.members.items():
        assert re.match(r"[A-Z0-9`(]", member.text) and member.text.endswith("."), (
            f"{kind.__name__}.{name}: {member.text!r} must be sentences")
        assert not re.match(r"(It|Its|That|Those|They|The same)\b", member.text), (
            f"{kind.__name__}.{name}: {member.text!r} does not stand by itself")
        line = plain(first_sentence(member.text))
        assert 3 <= len(line) <= 90, f"{kind.__name__}.{name}: {line!r} has {len(line)} characters"


def test_timing_is_told(kind):
    assert contract(kind).sections.get("Timing"), f"{kind.__name__} tells no timing"


def test_texts_have_the_names_of_the_ports(kind):
    for component in found()[kind]:
        texts = port_texts(component)
        assert list(texts) == [name for name, *_ in ports(component)]
        assert all(texts.values())


# -- the parser ----------------------------------------------------------------------------------

class PairSignature(wiring.Signature):
    """Two values.

    Members
    -------
    low : The lower one.
    high : The higher one. Never below ``low``.
    """

    def __init__(self):
        super().__init__({"low": Out(3), "high": Out(3)})


class Block(wiring.Component):
    """Adds what comes, see :class:`gen.cta.pe.PE`.

    A paragraph. Timing is told below.

    Timing (c: a cycle): ``y`` in c+1.
    More of it.

    Numerics: exact.

    Source: ours.

    Parameters
    ----------
    width : of an element

    Members
    -------
    x[2], w[2][3] : Operands. Format signed,
        in every cycle.
    pair : Bounds.
    job : The work of ``cfg.n`` tokens. One at a time.
    """

    def __init__(self, width=3):
        super().__init__({"x": In(width).array(2), "w": In(width).array(2, 3),
                          "pair": In(PairSignature()), "job": In(stream.Signature(4))})


def test_a_docstring_is_read():
    told = contract(Block)
    assert isinstance(told, Contract)
    assert told.summary == "Adds what comes, see :class:`gen.cta.pe.PE`."
    assert told.text == "A paragraph. Timing is told below."
    assert told.sections == {"Timing": "(c: a cycle): ``y`` in c+1.\nMore of it.",
                             "Numerics": "exact.", "Source": "ours."}
    assert told.members["w"].dimensions == ("2", "3")
    assert told.members["x"].text == told.members["w"].text
    assert told.members["x"].text == "Operands. Format signed, in every cycle."
    assert plain(told.summary) == "Adds what comes, see PE."


def test_texts_of_ports():
    block = Block()
    block._MustUse__used = True      # it is not elaborated
    texts = port_texts(block)
    assert list(texts) == [name for name, *_ in ports(block)]
    assert texts["w__1__2"] == texts["x__0"] == "Operands. Format signed, in every cycle."
    assert texts["pair__high"] == "pair: The higher one. Never below ``low``."
    assert texts["job__valid"] == texts["job__payload"] == "The work of ``cfg.n`` tokens. One at a time."


def test_first_sentence():
    assert first_sentence("The work of ``cfg.n`` tokens. One at a time.") == "The work of ``cfg.n`` tokens"
    assert first_sentence("0.5 of it, e.g. half.") == "0.5 of it, e.g. half"


def test_derived_classes_have_the_contract_of_their_base():
    assert contract(type("Other", (Block,), {})) == contract(Block)


@pytest.mark.parametrize("lines, message", [
    ("a : One.\na : Two.", "Broken: member 'a' stands twice"),
    ("a, b\n    One.", "Broken: 'a, b' among the members"),
    ("a / b : One.", "Broken: 'a / b : One.' among the members"),
])
def test_what_is_no_member_is_refused(lines, message, monkeypatch):
    text = f"Sums.\n\nMembers\n-------\n{lines}"
    monkeypatch.setattr("gen.contract.docstring", lambda kind: text)
    with pytest.raises(ContractError, match=re.escape(message)):
        contract(type("Broken", (), {}))


def test_a_label_stands_once(monkeypatch):
    monkeypatch.setattr("gen.contract.docstring", lambda kind: "A.\n\nTiming: x.\n\nTiming: y.")
    with pytest.raises(ContractError, match="Broken: Timing stands twice"):
        contract(type("Broken", (), {}))
