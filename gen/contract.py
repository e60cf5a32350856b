"""What a block promises: its docstring, read as data.

The docstring of a hardware block is its contract. Whoever drives the block reads it, the emitted
Verilog takes its comments from it, and a reference page can be made of it. So it has one form::

    One sentence on one line: what the block computes.

    Paragraphs: the formula, why this microarchitecture, what was rejected.

    Timing: latency, interval, back-pressure, reset.

    Numerics: formats, rounding, overflow, the golden function.

    Source: paper section and equation, deviations and why.

    Members
    -------
    en : One sentence, which is the comment of the port. More of them: format, cycle, validity.
    first, last : Several ports may share an entry.
    sum[b] : An array of ports, with its length in terms of the configuration.
        An entry goes on in lines that are indented further.
    rows : A stream (valid, ready, payload) is one entry, and so is any other interface: the
        docstring of its ``Signature`` describes what is in it, in the same form.

The source is read, not ``__doc__``, because ``python -OO`` must emit the same bytes.
"""

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass
from functools import cache

from amaranth.lib import stream, wiring

__all__ = ["Contract", "ContractError", "Member", "contract", "first_sentence", "plain",
           "port_texts", "unflipped"]

LABELS = ("Timing", "Numerics", "Source")
"""Paragraphs with a name, in the order in which they stand."""

LABEL = re.compile(rf"^({'|'.join(LABELS)})(?=:| \()")
ENTRY = re.compile(r"^(\w+(?:\[[^\]]*\])*(?:, \w+(?:\[[^\]]*\])*)*) : (.+)$")
NAME = re.compile(r"(\w+)((?:\[[^\]]*\])*)")


class ContractError(ValueError):
    """A docstring is not of the form above; the message names the class and the line."""


@dataclass(frozen=True)
class Member:
    """A port, an array of ports, or an interface.

    ``dimensions`` has the length of each dimension of an array as it is written, ``("2", "b")``
    for ``cs1[2][b]``; ``text`` is the description in one line of text.
    """

    name: str
    dimensions: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Contract:
    """The docstring of a class in parts.

    ``summary`` is its first line, ``text`` the paragraphs from there to the first label,
    ``sections`` the labelled paragraphs by label, ``members`` the members by name.
    """

    summary: str
    text: str
    sections: dict[str, str]
    members: dict[str, Member]


@cache
def docstring(kind: type) -> str:
    """The docstring of a class, or of the nearest class that it is derived from, by its source."""
    for each in kind.__mro__:
        if each in (wiring.Component, wiring.Signature):
            break
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(each)))
        except (OSError, TypeError, SyntaxError):
            continue
        if text := ast.get_docstring(tree.body[0]):
            return text
    return ""


@cache
def contract(kind: type) -> Contract:
    """The contract of a component or signature. Raises ContractError."""
    lines = docstring(kind).split("\n")
    heads = [at for at, line in enumerate(lines[:-1])
             if line and re.fullmatch("-{3,}", lines[at + 1])]
    text, sections, label = [], {}, None
    for line in lines[1:heads[0] if heads else None]:
        if found := LABEL.match(line):
            label = found[1]
            if label in sections:
                raise ContractError(f"{kind.__name__}: {label} stands twice")
            sections[label] = []
            line = line[found.end():].removeprefix(":").strip()
        (text if label is None else sections[label]).append(line)
    members = {}
    for at, end in zip(heads, [*heads[1:], len(lines)]):
        if lines[at] == "Members":
            members = _members(kind, lines[at + 2:end])
    return Contract(lines[0], "\n".join(text).strip(),
                    {name: "\n".join(part).strip() for name, part in sections.items()}, members)


def _members(kind: type, lines: list[str]) -> dict[str, Member]:
    """The members of the lines below the heading."""
    entries = []
    for line in filter(None, lines):
        if line.startswith("    ") and entries:
            entries[-1][1] += " " + line.strip()
        elif found := ENTRY.match(line):
            entries.append([found[1], found[2]])
        else:
            raise ContractError(f"{kind.__name__}: {line!r} among the members, "
                                "must be 'name : text' or the indented rest of it")
    members = {}
    for names, text in entries:
        for name, dimensions in NAME.findall(re.sub(r"\[[^\]]*\]", lambda d: d[0].replace(
                " ", ""), names)):
            if name in members:
                raise ContractError(f"{kind.__name__}: member {name!r} stands twice")
            members[name] = Member(name, tuple(re.findall(r"\[([^\]]*)\]", dimensions)), text)
    return members


def first_sentence(text: str) -> str:
    """The first sentence of a text, without its full stop."""
    return re.split(r"\.(?= [A-Z`*(]|$)", text, maxsplit=1)[0]


def plain(text: str) -> str:
    """A text without the marks of reStructuredText: of a role the last name remains."""
    text = re.sub(r":[\w:]+:`~?(?:[\w.]*\.)?([^`]*)`", r"\1", text)
    return re.sub(r"``(.*?)``", r"\1", text)


def port_texts(component) -> dict[str, str]:
    """What each port of a component is, by its name in Verilog, as far as docstrings say.

    A port of an interface that is no stream is described by the docstring of its ``Signature``,
    with the name of the interface before it.
    """
    return {"__".join(map(str, path)): text
            for path, text in _texts(component.signature, contract(type(component)).members)}


def _texts(signature, members: dict[str, Member], path: tuple = ()):
    for name, member in signature.members.items():
        text = members[name].text if name in members else ""
        for place in _places(member.dimensions):
            here = (*path, name, *place)
            if member.is_port:
                yield here, text
            elif isinstance(kind := unflipped(member.signature), stream.Signature):
                yield from (((*here, part), text) for part in member.signature.members)
            else:
                inside = contract(type(kind)).members
                for deeper, said in _texts(kind, inside, here):
                    yield deeper, f"{name}: {said}" if said else text


def unflipped(signature) -> wiring.Signature:
    """A signature as its class made it, whichever way its ports go."""
    return signature.flip() if isinstance(signature, wiring.FlippedSignature) else signature


def _places(dimensions):
    """The indices of all elements of an array; of a plain member one, which is empty."""
    places = [()]
    for length in dimensions:
        places = [(*place, at) for place in places for at in range(length)]
    return places
