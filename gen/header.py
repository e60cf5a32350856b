"""The head of an emitted module, for people: ports one a line, in order, each with what it is.

Yosys writes the names of all ports in one line and their directions among the wires, sorted as
text. Nothing here changes what is computed.
"""

import re
from textwrap import wrap

from amaranth.hdl import Shape
from amaranth.lib import data

from gen.contract import first_sentence, plain

__all__ = ["PRAGMAS", "ansi", "comments", "fields_of", "folded", "word_fields"]

PRAGMAS = (
    ("DECLFILENAME", "one file holds the whole engine"),
    ("WIDTHEXPAND", "operands are extended by their own signedness, which $signed() states"),
    ("WIDTHTRUNC", "`! vector` is equality with zero; of `vector >> index` the lowest bit is wanted"),
    ("UNUSEDSIGNAL", "carries and bits that a rounding drops; outputs of an instance left open"),
    ("CASEOVERLAP", "one-hot selects are written as casez with one bit a row"),
)
"""What Verilator's -Wall has to say of text that is as it should be, and why."""

FOLD = 120
"""Columns from which on a list goes on in the next line."""

WIDE = 100
"""Columns of a line of ports; a longer comment stands in lines of its own above."""


def fields_of(shape) -> list[tuple[str, int, int]]:
    """Fields of a struct shape as (name, lowest bit, width), low bits first; else none."""
    if not isinstance(shape, data.StructLayout):
        return []
    return [(str(key), field.offset, field.width) for key, field in shape]


def _what(shape, width: int, named: bool) -> str:
    """A shape in words; where the port is ``named`` by a text, what that and its width leave open."""
    if fields := fields_of(shape):
        return ", ".join(f"{name} {size}" for name, _, size in fields) + ", lowest first"
    if isinstance(shape, data.ArrayLayout):
        element = Shape.cast(shape.elem_shape)
        kind = "signed" if element.signed else "unsigned"
        return f"{shape.length} elements of {element.width} bits, {kind}, the first lowest"
    kind = "signed" if Shape.cast(shape).signed else "unsigned"
    if named:
        return kind if kind == "signed" else ""
    return "flag" if width == 1 else f"{kind}, {width} bits"


ELEMENT = re.compile(r"(\w+?)((?:__\d+)+)")


def comments(ports, streams: dict[str, str], texts: dict[str, str]) -> dict[str, str]:
    """What each port is, by name. ``ports`` as ``gen.manifest.ports`` lists them; ``streams`` has
    the direction of the streams among them, by name; ``texts`` what docstrings say of each.

    The comment is the first sentence of the text and what the shape adds to it. The elements of an
    array share a text, which stands at the first of them.
    """
    found = {"clk": "clock, rising edge", "rst": "reset, synchronous, active high; one cycle suffices"}
    for name, _, shape, value in ports:
        said = plain(first_sentence(texts.get(name, "")))
        text = "; ".join(filter(None, (said, _what(shape, len(value), bool(said)))))
        stream, _, part = name.rpartition("__")
        element = ELEMENT.fullmatch(name)
        if stream in streams and part in ("payload", "valid", "ready"):
            into = "into" if streams[stream] == "input" else "out of"
            text = {"valid": f"stream {stream}, {into} the block: a payload is offered",
                    "ready": f"stream {stream}: the payload is taken",
                    "payload": f"stream {stream}: {text}"}[part]
        elif element:
            indices = element[2].split("__")[1:]
            place = f"element {', '.join(indices)} of {element[1]}"
            text = place if said and any(map(int, indices)) else f"{place}: {text}"
        found[name] = text
    return found


HEAD = re.compile(r"^module (\w+)\((.*?)\);\n", re.S)


def ansi(body: str, order: list[str], notes: dict[str, str]) -> str:
    """A module with its ports in ANSI style. ``order`` has the ports of the signature in their order,
    ``notes`` their comments; clock and reset come first, what Yosys has left out does not come."""
    head = HEAD.match(body)
    names = [name.strip() for name in head[2].replace("\n", " ").split(",") if name.strip()]
    ranks = {name: at for at, name in enumerate(["clk", "rst", *order])}
    lines, rest = [], body[head.end():]
    for name in sorted(names, key=lambda name: ranks.get(name.strip("\\"), len(ranks))):
        spelt = re.escape(name)
        port = re.search(rf"^  (input|output) (signed )?(\[\d+:\d+\] )?{spelt} ?;\n", rest, re.M)
        rest = rest[:port.start()] + rest[port.end():]
        net = re.search(rf"^  (wire|reg) (signed )?(\[\d+:\d+\] )?{spelt} ?;\n", rest, re.M)
        kind = "wire"
        if net:
            kind = net[1]
            rest = rest[:net.start()] + rest[net.end():]
        # An escaped name, one that Verilog has as a keyword, ends with a space.
        lines.append((f"  {port[1]:6} {kind:4} {port[2] or ''}{port[3] or ''}{name}"
                      + " " * name.startswith("\\"),
                      notes.get(name.strip("\\ "), "")))
    text = [f"module {head[1]} ("]
    for at, (line, note) in enumerate(lines):
        line += "," if at < len(lines) - 1 else ""
        if note and len(line) + len(note) + 5 <= WIDE:
            line += f"  // {note}"
        elif note:
            text += [f"  // {part}" for part in wrap(note, WIDE - 5, break_long_words=False,
                                                  break_on_hyphens=False)]
        text.append(line)
    return "\n".join([*text, ");", rest])


def word_fields(ports) -> str:
    """Wires for the fields of the words among the ports: what a waveform shows by name."""
    text = []
    for name, _, shape, _ in ports:
        for field, low, width in fields_of(shape):
            size = f"[{width - 1}:0] " if width > 1 else ""
            part = f"[{low + width - 1}:{low}]" if width > 1 else f"[{low}]"
            text.append(f"  wire {size}{name}__{field} = {name}{part};")
    return "\n".join(["", "  // Fields of the words, by name, for waveforms and assertions.", *text, ""
                      ]) if text else ""


LITERAL = re.compile(r"\b(\d+)'h([0-9a-f]{80,})\b")
DIGITS = 64     # hexadecimal digits a line of a literal


def folded(body: str) -> str:
    """``body`` without lines of thousands of characters: large literals in parts, lists in lines."""
    def parts(found):
        bits, digits = int(found[1]), found[2]
        if len(digits) != -(-bits // 4):
            return found[0]
        cut = len(digits) % DIGITS
        chunks = ([digits[:cut]] if cut else []) + [digits[at:at + DIGITS] for at in
                                                    range(cut, len(digits), DIGITS)]
        first = bits - 4 * DIGITS * (len(chunks) - 1)
        sizes = [first] + [4 * DIGITS] * (len(chunks) - 1)
        return "{ " + ", ".join(f"{size}'h{chunk}" for size, chunk in zip(sizes, chunks)) + " }"

    lines = []
    for line in LITERAL.sub(parts, body).split("\n"):
        while len(line) > FOLD and "//" not in line:
            at = line.rfind(", ", 0, FOLD)
            if at <= len(line) - len(line.lstrip()):
                break
            indent = len(line) - len(line.lstrip())
            lines.append(line[:at + 1])
            line = " " * max(indent, 6) + line[at + 2:]
        lines.append(line)
    return "\n".join(lines)
