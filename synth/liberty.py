"""Liberty files: the groups of a cell library, read and written.

    library = parse(text)
    for cell in library.children("cell"):
        print(cell.name, cell.number("area"))

A Liberty file is a tree of groups; each has a name, arguments, attributes and further groups. What the
tree means is in :mod:`synth.cells`.

Source: Liberty User Guide, Volume 1 (Synopsys, open-source Liberty).
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from model.errors import ConfigError

__all__ = ["Group", "LibertyError", "parse", "read", "written"]

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|\\\r?\n|"((?:[^"\\]|\\.)*)"|([^\s(){}:;,"]+)|([(){}:;,])', re.S)


class LibertyError(ConfigError):
    """A file that is no Liberty, or lacks what is needed; the message names the file and the line."""


@dataclass
class Group:
    """``kind (arguments) { attributes groups }``. Attributes are text; a repeated one keeps its last value,
    and one with arguments, like ``index_1("1, 2")``, has them joined by commas."""

    kind: str
    arguments: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The first argument."""
        return self.arguments[0] if self.arguments else ""

    def children(self, *kinds: str) -> Iterator["Group"]:
        """Groups inside of these kinds."""
        return (group for group in self.groups if group.kind in kinds)

    def number(self, attribute: str, default: float | None = None) -> float:
        """An attribute as a number. Raises :class:`LibertyError` where it is none, or missing without a
        ``default``."""
        text = self.attributes.get(attribute)
        if text is None and default is not None:
            return default
        try:
            return float(text)
        except (TypeError, ValueError):
            raise LibertyError(f"{attribute} of {self.kind} {self.name!r} is {text!r}, must be a number"
                               ) from None

    def numbers(self, attribute: str) -> list[float]:
        """A list of numbers, as of an index or of the values of a table; empty where it is missing."""
        text = self.attributes.get(attribute, "")
        try:
            return [float(part) for part in text.replace(",", " ").split()]
        except ValueError:
            raise LibertyError(f"{attribute} of {self.kind} {self.name!r} holds {text[:40]!r}, must be "
                               "numbers") from None


def parse(text: str, where: str = "the liberty") -> Group:
    """The group ``library`` of a Liberty text; ``where`` names it in messages."""
    tokens = [(found, found[1] if found[1] is not None else found[2] or found[3])
              for found in TOKEN.finditer(text) if found.lastindex]
    at = 0

    def fail(reason: str):
        line = text.count("\n", 0, tokens[at][0].start()) + 1 if at < len(tokens) else "the end"
        raise LibertyError(f"{where} is no Liberty file: {reason} in line {line}")

    def take(expected: str = "") -> str:
        nonlocal at
        if at >= len(tokens):
            fail("the text ends")
        value = tokens[at][1]
        if expected and value != expected:
            fail(f"{value!r} stands for {expected!r}")
        at += 1
        return value

    def peek() -> str:
        return tokens[at][1] if at < len(tokens) and not tokens[at][0][1] else ""

    def arguments() -> tuple[str, ...]:
        take("(")
        found = []
        while peek() != ")":
            value = take()
            if value != ",":
                found.append(value)
        take(")")
        return tuple(found)

    def value() -> str:
        words = []
        while peek() not in (";", "}"):
            words.append(take())
        return " ".join(words)

    def body(group: Group) -> Group:
        take("{")
        while peek() != "}":
            if peek() == ";":
                take()
                continue
            name = take()
            if peek() == ":":
                take()
                group.attributes[name] = value()
            elif peek() == "(":
                given = arguments()
                if peek() == "{":
                    group.groups.append(body(Group(name, given)))
                else:
                    group.attributes[name] = ", ".join(given)
            else:
                fail(f"{name!r} is neither an attribute nor a group")
        take("}")
        return group

    if not tokens or peek() != "library":
        fail("there is no library")
    take()
    return body(Group("library", arguments()))


def read(path) -> Group:
    """The library of a file, which may be gzipped. Raises :class:`LibertyError`."""
    try:
        content = Path(path).read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise LibertyError(f"liberty {path} cannot be read: {error}") from None
    return parse(text, f"liberty {path}")


def written(group: Group, indent: str = "") -> str:
    """The text of a group, which :func:`parse` reads back."""
    lines = [f"{indent}{group.kind}({', '.join(map(_quoted, group.arguments))}) {{"]
    inside = indent + " "
    for name, text in group.attributes.items():
        many = name.startswith(("index_", "values", "capacitive_load_unit"))
        lines.append(f"{inside}{name}({text if name.startswith('cap') else _rows(text)});" if many
                     else f"{inside}{name} : {_quoted(text)};")
    lines += [written(child, inside) for child in group.groups]
    return "\n".join([*lines, f"{indent}}}"])


def _rows(text: str) -> str:
    return f'"{text}"'


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.+-]+", text) else f'"{text}"'
