"""Names and shapes a person can read, for what Yosys makes of a module.

Yosys numbers the wires between two operations (``_042_``), writes a table as a memory with an
``initial`` block, which ASIC tools ignore, and a choice as a function whose arguments hide module
signals. Nothing here changes what is computed.
"""

import re
from collections import Counter, deque

__all__ = ["rename", "tidy"]

WORD = re.compile(r"(?<!\S)[\\$]\S+")
# What the result of a Yosys cell is called; any other cell gives its own name.
RESULT = {"$add": "sum", "$sub": "difference", "$mul": "product", "$neg": "negative",
          "$eq": "is", "$ne": "differs", "$lt": "less", "$le": "at_most", "$gt": "more",
          "$ge": "at_least", "$shl": "left", "$shr": "right", "$sshr": "right", "$pmux": "case",
          "$logic_not": "zero", "$reduce_bool": "nonzero", "$reduce_or": "any",
          "$reduce_and": "all", "$sdffe": "q", "$sdff": "q", "$dffe": "q", "$dff": "q",
          "$mem_v2": "entry"}


def rename(rtlil: str) -> str:
    """RTLIL with every wire named.

    A wire to or from an instance is called ``<instance>_<port>``; a wire between two operations
    after the named signal that it leads to and the operation that drives it.
    """
    return re.sub(r"^module .*?^end$", lambda found: _module(found[0]), rtlil, flags=re.M | re.S)


def _module(text: str) -> str:
    wires = {w: kind for kind, w in re.findall(r"^  wire (.*?)([\\$]\S+)$", text, re.M)}
    names, taken = {}, set()

    def give(wire, name):
        name = re.sub(r"\W", "_", name)
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        taken.add(unique)
        names[wire] = "\\" + unique

    for wire, kind in wires.items():
        if "put " in kind:             # ports keep theirs; instances spell them alike
            give(wire, wire[1:])
            if names[wire] != "\\" + re.sub(r"\W", "_", wire[1:]):
                raise ValueError(f"two ports would be called {wire[1:]!r}")

    drivers, made_by, reads = {}, {}, []
    uses = Counter(w for line in re.findall(r"^ +connect .*$", text, re.M)
                   for w in WORD.findall(line))
    for kind, cell, body in re.findall(r"^  cell (\S+) (\S+)\n(.*?)^  end$", text, re.M | re.S):
        links = re.findall(r"^    connect \\(\S+) (.*)$", body, re.M)
        if kind.startswith("\\"):
            for port, value in links:
                whole = re.fullmatch(r"\\(\S+?)(\$\d+)?", value)
                if whole and whole[1].replace(".", "_") == port and value not in names:
                    give(value, f"{cell[1:]}_{port}")
                for wire in WORD.findall(value):
                    if uses[wire] == 1:
                        made_by[wire] = "open"     # an output that nobody reads
                reads.append((f"{cell[1:]}_{port}", WORD.findall(value)))
            continue
        inputs = [w for port, value in links if port not in ("Y", "Q", "RD_DATA")
                  for w in WORD.findall(value)]
        for port, value in links:
            if port in ("Y", "Q", "RD_DATA"):
                for wire in WORD.findall(value):
                    drivers.setdefault(wire, []).append(inputs)
                    made_by.setdefault(wire, RESULT.get(kind, kind.strip("$_").lower()))
    for left, right in re.findall(r"^  connect (\{.*?\}|\S+(?: \[\S+\])?) (.*)$", text, re.M):
        for wire in WORD.findall(left):
            drivers.setdefault(wire, []).append(WORD.findall(right))
    for wire in wires:
        if wire not in names and wire.startswith("\\") and not wire.startswith("\\$signal"):
            give(wire, wire[1:])       # `$signal`: Amaranth, where there is none

    # From every named wire back through what drives it.
    queue = deque((names[w][1:], w) for w in wires if w in names)
    starts = deque(reads)
    while queue or starts:
        if queue:
            base, wire = queue.popleft()
            sources = [w for inputs in drivers.get(wire, ()) for w in inputs]
        else:
            base, sources = starts.popleft()
        for source in sources:
            if source in wires and source not in names:
                give(source, f"{base}_{made_by.get(source, 'part')}")
                queue.append((base, source))
    for wire in wires:
        if wire not in names:
            give(wire, f"unused_{made_by.get(wire, 'part')}")
    # Only wires: the first word of a cell, memory or parameter line is no wire.
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if line.startswith(("  wire ", "  connect ")):
            lines[i] = WORD.sub(lambda w: names.get(w[0], w[0]), line)
        elif line.startswith("    connect "):
            head, port, value = line[:12], *line[12:].split(" ", 1)
            port = "\\" + re.sub(r"\W", "_", port[1:])
            lines[i] = f"{head}{port} " + WORD.sub(lambda w: names.get(w[0], w[0]), value)
    return "\n".join(lines)


TABLE = re.compile(r"^  reg \[(\d+):0\] (\\\S+ |\w+) ?\[(\d+):0\];\n  initial begin\n"
                   r"((?:    .*\n)+)  end\n(  assign (\w+)\b.* = )\2 ?\[(.*)\];$", re.M)
CHOICE = re.compile(r"^  function .*? (\w+);\n    input .*\ba;\n(?:    .*\n)+  endfunction\n"
                    r"  assign \W*(\w+).*= \1\(", re.M)


def tidy(verilog: str) -> str:
    """Verilog with tables and choices as functions of plain ``case``."""
    def table(found):
        high, _, last, body, assign, target, at = found.groups()
        name, width = f"table_{target}", max(1, int(last).bit_length())
        rows = re.findall(r"\[(\d+)\] = (.*);", body)
        text = [f"  function [{high}:0] {name};", f"    input [{width - 1}:0] at;",
                "    case (at)"]
        text += [f"      {width}'d{index}: {name} = {value};" for index, value in rows]
        full = len(rows) == 1 << width
        if full:      # the last row stands for it
            text[-1] = f"      default: {name} = {rows[-1][1]};"
        else:
            text.append(f"      default: {name} = {int(high) + 1}'d0;")
        text += ["    endcase", "  endfunction", f"{assign}{name}({at});"]
        return "\n".join(text)

    def choice(found):
        name = f"case_{found[2]}"
        head, _, call = found[0].rpartition("endfunction")
        for old, new in (("a", "otherwise"), ("b", "choices"), ("s", "select")):
            head = re.sub(rf"(?<!')\b{old}\b", new, head)
        head = head.replace(" // synopsys parallel_case", "")
        return (head + "endfunction" + call).replace(found[1], name)

    def part(found):
        plain = f"{found[1]}_{found[2]}"
        return plain if not re.search(rf"\b{plain}\b", verilog) else found[0]

    # A register that is part of a signal, or of several: `_57_` becomes <the first>_bits.
    taken, names = set(re.findall(r"\w+", verilog)), {}
    for wire, number in re.findall(r"^  assign (?:\{ )?(\w+)\b.* = (_\d+_);$", verilog, re.M):
        name, count = f"{wire}_bits", 2
        while name in taken:
            name, count = f"{wire}_bits_{count}", count + 1
        taken.add(name)
        names[number] = name
    verilog = re.sub(r"\b_\d+_\b", lambda word: names.get(word[0], word[0]), verilog)
    # A register of which only some bits are one: `\name_reg[1] ` becomes name_reg_1.
    verilog = re.sub(r"\\(\w+)\[(\d+)\] ", part, verilog)
    return CHOICE.sub(choice, TABLE.sub(table, verilog))
