"""Emitted Verilog: the same bytes everywhere, each module once, readable, clean under -Wall."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen import emit as emit_module
from gen.blocks.memory import SRAM
from gen.contract import contract, first_sentence, plain, port_texts
from gen.cta.top import CTA
from gen.emit import EmitError, emit, emit_all, place
from gen.lookup.top import Lookup
from gen.manifest import manifest
from model.cta.config import CTAConfig
from model.lookup.config import LookupConfig
from sw.sim import verilator

ROOT = Path(__file__).resolve().parent.parent
ENGINES = {
    "cta": (CTAConfig, {"load", "data", "job", "out", "status"}),
    "lookup": (LookupConfig, {"load", "data", "job", "x", "y", "status", "request", "response"}),
}
TOPS = {"cta": CTA, "lookup": Lookup}
CONFIGS = {
    "small": ("cta", {"b": 2, "d": 8, "l": 1, "n": 8}),
    "sliced": ("cta", {"b": 4, "d": 16, "dw": 48, "l": 3, "n": 20, "k1": 9, "sets": 2, "digit": 4}),
    "lookup": ("lookup", {"d": 16, "h": 4, "tau": 3, "block": 4, "multipliers": 8, "lanes": 8,
                          "batch": 3}),
}


class Cell(wiring.Component):
    """One register."""

    module_name = "adder"

    def __init__(self, step=1, width=4):
        self.step = step
        wiring.Component.__init__(self, {"x": In(width).array(2), "y": Out(width)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.y.eq(self.x[0] + self.x[1] + self.step)
        return m


class Anonymous(wiring.Component):
    """Told apart by its body."""

    __init__, elaborate = Cell.__init__, Cell.elaborate


class Row(wiring.Component):
    """Cells in a row."""

    module_name = "row"

    def __init__(self, kinds):
        self.kinds = kinds
        super().__init__({"x": In(4), "y": Out(4)})

    def elaborate(self, platform):
        m = Module()
        value = self.x
        for i, kind in enumerate(self.kinds):
            cell = kind()
            m.submodules[f"cell_{i}"] = place(platform, cell)
            m.d.comb += [cell.x[0].eq(value), cell.x[1].eq(i)]
            value = cell.y
        m.d.comb += self.y.eq(value)
        return m


def modules(verilog):
    return re.findall(r"^module (\w+)", verilog, re.M)


def bodies(verilog):
    return {name: body for name, body in
            re.findall(r"^module (\w+)(.*?)^endmodule", verilog, re.M | re.S)}


@pytest.fixture(scope="module", params=CONFIGS)
def engine(request, tmp_path_factory):
    """(top, config, arguments, Verilog, manifest) from the command line."""
    top, parameters = CONFIGS[request.param]
    args = [f"--{k}={v}" for k, v in parameters.items()]
    cfg = ENGINES[top][0](**parameters)
    folder = tmp_path_factory.mktemp("emit")
    config = folder / "config.json"
    config.write_text(json.dumps(parameters))
    described = folder / "manifest.json"
    run = subprocess.run([sys.executable, "-m", f"gen.{top}", "--config", config,
                          "-o", "-", "--manifest", described], cwd=ROOT, text=True, capture_output=True)
    assert run.returncode == 0, run.stderr
    return top, cfg, args, run.stdout, json.loads(described.read_text())


def test_each_module_is_emitted_once_however_often_and_deep_it_is_used():
    class Grid(wiring.Component):
        """Rows of cells."""
        module_name = "grid"

        def __init__(self):
            super().__init__({"x": In(4), "y": Out(4)})

        def elaborate(self, platform):
            m = Module()
            value = self.x
            for i in range(3):
                row = Row([Cell] * 4)
                m.submodules[f"row_{i}"] = place(platform, row)
                m.d.comb += row.x.eq(value)
                value = row.y
            m.d.comb += self.y.eq(value)
            return m

    text = emit(Grid())
    assert modules(text) == ["grid", "row", "adder"]
    assert text.count("  row row_") == 3 and text.count("  adder cell_") == 4


def test_components_without_a_name_are_told_apart_by_their_body():
    kinds = [lambda: Anonymous(1), lambda: Anonymous(2), lambda: Anonymous(1)]
    text = emit(Row(kinds))
    assert len(modules(text)) == 3      # the row, and two of the three
    used = re.findall(r"^  (\w+) cell_\d \(", text, re.M)
    assert used[0] == used[2] != used[1]


def test_one_name_for_two_interfaces_is_refused():
    other = Cell(width=5)
    with pytest.raises(EmitError, match="'adder' stands for two components"):
        emit(Row([Cell, lambda: other]))
    emit(other)


def test_inputs_that_do_not_change_are_told():
    class Steady(Cell):
        """A cell whose operands stand still."""
        module_name = "steady"
        static_inputs = "x",

    class Wrong(Cell):
        """A cell that is wrong about itself."""
        module_name = "wrong"
        static_inputs = "y",

    assert emit_all(Row([Cell, Steady])).static == {"steady": ("x",)}
    assert emit_all(CTA(CTAConfig(b=2, d=8, l=1, n=8))).static == {"cta_ppe_row": ("lsh", "job")}
    with pytest.raises(EmitError, match="static_inputs of module wrong has 'y', must be an input of it"):
        emit_all(Row([Wrong]))


def test_no_power_up_values_and_reset_of_every_register():
    text = emit(Cell())
    assert "initial" not in text and not re.search(r"reg .*=", text)
    assert "if (rst) y <= 4'h0;" in text


def test_tables_and_choices_are_plain_case():
    class Table(wiring.Component):
        """A table and a choice."""
        module_name = "table_and_choice"

        def __init__(self):
            super().__init__({"a": In(4), "y": Out(8), "z": Out(4)})

        def elaborate(self, platform):
            m = Module()
            with m.Switch(self.a):
                for i in range(16):
                    with m.Case(i):
                        m.d.comb += self.y.eq(i * i)
            with m.Switch(self.a[:2]):
                for i in range(3):
                    with m.Case(i):
                        m.d.comb += self.z.eq(self.a + i)
            return m

    text = emit(Table())
    assert "initial" not in text and "4'd3: table_y = 8'h09;" in text and "case_z(" in text
    assert lint(text, "table_and_choice") == ""


def test_sram_in_both_flavours(tmp_path):
    class Two(wiring.Component):
        """Two memories."""
        module_name = "two"

        def __init__(self):
            super().__init__({"d": In(1500), "q": Out(1500)})

        def elaborate(self, platform):
            m = Module()
            m.submodules.one = one = SRAM(width=1500, depth=1)
            m.submodules.two = two = SRAM(width=1500, depth=5, ports="1rw1r")
            m.d.comb += [one.w_en.eq(1), one.w_data.eq(self.d), one.r_en.eq(1),
                         two.w_en.eq(self.d[0]), two.w_data.eq(one.r_data), two.q_en.eq(1),
                         self.q.eq(two.q_data)]
            return m

    text = emit(Two())
    assert modules(text) == ["two", "hl_sram_1r1w", "hl_sram_1rw1r"]
    assert lint(text, "two") == ""
    guarded = text[text.index("`ifndef HASHLAYER_SRAM_EXTERNAL"):]
    assert modules(guarded) == ["hl_sram_1r1w", "hl_sram_1rw1r"]


def test_manifest_describes_ports_and_streams():
    class Echo(wiring.Component):
        """Nothing."""
        module_name = "echo"

        def __init__(self):
            pair = data.StructLayout({"low": 3, "high": 4})
            super().__init__({"i": In(stream.Signature(pair)), "o": Out(stream.Signature(7))})

        def elaborate(self, platform):
            m = Module()
            m.d.comb += [self.o.payload.eq(self.i.payload), self.o.valid.eq(self.i.valid),
                         self.i.ready.eq(self.o.ready)]
            return m

    echo = Echo()
    described = json.loads(json.dumps(manifest(echo)))
    text = emit(echo)
    assert described["streams"]["i"] == {
        "dir": "input", "width": 7, "fields": [
            {"name": "low", "offset": 0, "width": 3, "signed": False},
            {"name": "high", "offset": 3, "width": 4, "signed": False}]}
    for port in described["ports"]:
        size = f"[{port['width'] - 1}:0] " if port["width"] > 1 else ""
        assert re.search(rf"^  {port['dir']} +wire {re.escape(size)}{port['name']},?  // ", text, re.M)


def test_engine_is_the_same_to_the_byte(engine, tmp_path):
    top, _, args, text, _ = engine
    run = subprocess.run([sys.executable, "-m", f"gen.{top}", *args, "-o", "here.v"], cwd=tmp_path,
                         env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)},
                         text=True, capture_output=True)
    assert run.returncode == 0, run.stderr

    def body(verilog):     # the command that made it stands in the header
        return re.sub(r"^// python.*\n", "", verilog, flags=re.M)

    assert body((tmp_path / "here.v").read_text()) == body(text)


def test_engine_holds_no_machine_path_and_no_date(engine):
    _, cfg, _, text, _ = engine
    assert str(ROOT) not in text and "site-packages" not in text and not re.search(r"/\w+/\w+/", text)
    assert not re.search(r"20\d\d-\d\d-\d\d", text)
    assert cfg.digest in text.split("\n")[0]


def test_engine_modules_are_distinct_and_readable(engine):
    top, cfg, _, text, _ = engine
    names = modules(text)
    assert len(names) == len(set(names)) and names[0] == top
    if top == "cta":
        assert text.count("  cta_pe pe_") in (cfg.columns, cfg.columns * cfg.d)
    seen = {}
    for name, body in bodies(text).items():
        assert seen.setdefault(body, name) == name, f"{name} and {seen[body]} are the same"
    assert "\\$" not in text and not re.search(r"\b_\d+_\b", text)
    assert "initial" not in text


@pytest.mark.parametrize("strict", [False, True])
def test_engine_is_clean_under_wall(engine, strict):
    """As a user lints it, by itself; and without its pragmas, less the reviewed messages."""
    top, _, _, text, _ = engine
    assert lint(text, top, strict) == ""


def test_engine_ports_are_read_like_a_table(engine):
    """One a line, in the order of the signature, each with what it is; no line is out of sight."""
    top, _, _, text, described = engine
    for name, body in bodies(text).items():
        head = body[:body.index(");")]
        if name.startswith("hl_sram"):
            continue
        found, noted = [], ""
        for line in head.splitlines()[1:]:
            port = re.fullmatch(r"  (input |output) (wire|reg ) ?(\[\d+:0\] )?(\\?\w+) ?,?(  // .+)?",
                                line)
            if port:
                assert port[5] or noted, f"{name}: {line} has no comment"
                found.append(port[4])
                noted = ""
            else:
                assert line.startswith("  // "), f"{name}: {line}"
                noted = line
        assert found[:1] == ["clk"] or "clk" not in found
        assert len(set(found)) == len(found)
        if name == top:
            assert found == ["clk", "rst", *(port["name"] for port in described["ports"])]
            fields = {f"{port['name']}__{field['name']}" for port in described["ports"]
                      for field in port["fields"]}
            assert all(re.search(rf"^  wire .*\b{field} = ", body, re.M) for field in fields)
    assert max(map(len, text.splitlines())) <= 600     # a one-hot select of 512


def test_engine_modules_and_ports_are_told_by_docstrings(engine):
    """Before each module a line of what it computes, at each port the first sentence about it."""
    top, cfg, _, text, _ = engine
    emitter = emit_module.Emitter()
    emitter.convert(TOPS[top](cfg), top)
    lines = text.splitlines()
    for name, component in emitter.components.items():
        at = next(i for i, line in enumerate(lines)
                  if line == f"module {name.replace('.', '_')} (")
        assert lines[at - 1] == f"// {plain(contract(type(component)).summary)}"
        head = " ".join(line.partition("// ")[2] for line in lines[at:lines.index(");", at)])
        for port, said in port_texts(component).items():
            # The elements of an array share a text, and an empty port does not come.
            if re.search(rf"\b{port}\b", text) and not re.search(r"__\d", port):
                assert plain(first_sentence(said)) in head, f"{name}.{port}"


def test_a_port_without_a_text_is_told_by_its_shape():
    text = emit(Cell())
    assert "x__1,  // element 1 of x: unsigned, 4 bits" in text
    assert "// One register.\nmodule adder (" in text


def test_a_port_with_a_text_is_told_by_it():
    class Told(wiring.Component):
        """Adds, as :class:`gen.x.Cell` does, ``x`` and ``x``.

        Members
        -------
        x[2] : Operands of ``y``. In each cycle.
        i : Stream of words.
        y : Sum.
        """

        module_name = "told"

        def __init__(self):
            super().__init__({"x": In(4).array(2), "i": In(stream.Signature(signed(3))),
                              "y": Out(signed(4))})

        def elaborate(self, platform):
            m = Module()
            m.d.comb += [self.y.eq(self.x[0] + self.x[1] + self.i.payload),
                         self.i.ready.eq(self.i.valid)]
            return m

    text = emit(Told())
    assert "// Adds, as Cell does, x and x.\nmodule told (" in text
    notes = re.findall(r"put .*?(\w+),?  // (.*)", text)
    assert notes == [("x__0", "element 0 of x: Operands of y"), ("x__1", "element 1 of x"),
                     ("i__payload", "stream i: Stream of words; signed"),
                     ("i__valid", "stream i, into the block: a payload is offered"),
                     ("i__ready", "stream i: the payload is taken"), ("y", "Sum; signed")]


def test_engine_manifest(engine):
    top, cfg, _, text, described = engine
    kind, streams = ENGINES[top]
    assert described["digest"] == cfg.digest
    assert kind.from_dict(described["config"]) == cfg
    assert set(described["streams"]) == streams


def lint(text, top, strict=True):
    path = verilator.cache_dir() / f"lint-{os.getpid()}.v"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    try:
        return verilator.lint(path, top, strict)
    finally:
        path.unlink()


def test_a_manifest_alone_is_a_manifest_alone(tmp_path):
    run = subprocess.run([sys.executable, "-m", "gen.cta", "--b=2", "--d=8", "--l=1", "--n=8",
                          "--manifest", tmp_path / "m.json"], cwd=ROOT, text=True,
                         capture_output=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert json.loads((tmp_path / "m.json").read_text())["module"] == "cta"


def test_manifest_lists_memories_and_codes(engine):
    """Every instance of a memory below the top, as a walk over the Verilog finds it."""
    top, cfg, _, text, described = engine
    found, used = {}, bodies(text)

    def walk(name):
        for kind, parameters in re.findall(r"^  (\w+) (?:#\(\n(.*?)\n  \) )?\\?\w+ +\(", used[name],
                                           re.M | re.S):
            if kind.startswith("hl_sram"):
                shape = re.findall(r"\.(?:WIDTH|DEPTH)\(32'(?:sd|d|h)(\w+)\)", parameters)
                base = 16 if "32'h" in parameters else 10
                depth, width = (int(value, base) for value in shape)
                found[kind, width, depth] = found.get((kind, width, depth), 0) + 1
            elif kind in used:
                walk(kind)

    walk(top)
    listed = {(m["module"], m["width"], m["depth"]): m["count"] for m in described["memories"]}
    assert listed == found and listed
    for memory in described["memories"]:
        assert memory["bits"] == memory["count"] * memory["width"] * memory["depth"]
    assert described["memory_bits"] == sum(m["bits"] for m in described["memories"])
    if "banks" in described:       # the same by what they hold
        assert sum(bank["bits"] for bank in described["banks"]) == described["memory_bits"]
        assert sum(bank["count"] for bank in described["banks"]) == sum(found.values())
    assert described["errors"]["LOAD"] and described["targets"]


@pytest.mark.parametrize("prefix", ["", "8a", "a-b", "a b", "é", "a" * 65])
def test_a_prefix_that_is_no_identifier_is_refused(prefix):
    run = subprocess.run([sys.executable, "-m", "gen.cta", f"--prefix={prefix}"], cwd=ROOT, text=True,
                         capture_output=True)
    assert run.returncode == 2 and run.stdout == ""
    assert run.stderr == (f"gen.cta: prefix is {prefix!r}, must be a letter or _, then up to 63 "
                          "letters, digits or _\n")


def test_what_yosys_leaves_out_is_noticed(monkeypatch):
    """Verilog that is cut off, wherever, is no Verilog."""
    honest = emit_module._yosys

    def cut(text, *passes):
        out = honest(text, *passes)
        return out[:len(out) * 2 // 3] if passes[-1].startswith("write_verilog") else out

    monkeypatch.setattr(emit_module, "_yosys", cut)
    with pytest.raises(EmitError, match="Yosys has not written"):
        emit(Row([Cell] * 4))
