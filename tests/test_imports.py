"""The dependency arrows of docs/decisions/0001-layers.md, by reading every file."""

import subprocess
import sys

import pytest

from tests.reach import ROOT, extras, imports, is_quick, lacking, reached

pytestmark = pytest.mark.structure

OWN = ("model", "gen", "verif", "sw", "synth", "tests")
DATA = ("command", "errors", "files", "fixed", "banks", "config", "job", "layout", "schedule", "timing",
        "weight_layout")


ROOMS = {
    "sw.io": (),
    "sw.kernels": ("sw.io",),
    "sw.sim": ("gen", "sw.io", "sw.kernels"),
    "sw.nn": ("sw.io", "sw.kernels"),
    "sw.exported": ("sw.io", "sw.sim", "sw.nn"),
    "sw.run": ("sw.io", "sw.kernels", "sw.sim", "sw.exported"),
    "sw.rivals": ("sw.io", "sw.run"),
    "sw.lm": ("sw.io", "sw.nn"),
    "sw.policy": ("sw.io", "sw.nn"),
    "sw.quant": ("sw.io", "sw.nn", "sw.exported", "sw.lm"),
    "sw.studies": ("sw.io", "sw.kernels", "sw.sim", "sw.nn", "sw.exported", "sw.run", "sw.lm", "sw.policy",
                   "sw.quant"),
    "sw.explore": ("gen", "sw.io", "sw.sim", "sw.run", "sw.rivals", "sw.policy", "sw.studies"),
    "sw.reproduce": ("sw.io", "sw.rivals"),
    "sw.demo": ("sw.io", "sw.sim", "sw.nn", "sw.exported", "sw.run", "sw.lm", "sw.quant",
                "sw.studies"),
}
"""Rooms of the software and what each may take from, beside ``model`` and itself. A room stands
below those that name it, so there is no way back: the table is read in order by a test."""

TORCH = ("sw.nn", "sw.lm", "sw.policy", "sw.quant", "sw.exported", "sw.studies", "sw.demo")
"""Rooms in which layers and training live. The others run where torch is not installed."""


def room(module: str) -> str:
    """The package of ``sw`` that a module is in; ``sw`` itself for the modules at its top."""
    first = ".".join(module.split(".")[:2])
    return first if first in ROOMS else "sw"


def allowed(place: str, module: str) -> bool:
    """Whether a file of ``place``, a top folder or a room of sw, may import ``module``."""
    root, _, rest = module.partition(".")
    if root == "tests":
        return False
    if root in sys.stdlib_module_names:
        return True
    if place == "sw":                   # the command and the list of names: they import by name
        return root in ("model", "sw")
    if place.startswith("sw."):
        if root == "torch":
            return place in TORCH
        if root in OWN:
            return root == "model" or module.startswith(place) or any(
                f"{module}.".startswith(f"{other}.") for other in ROOMS[place])
        return root not in ("amaranth", "cocotb")
    if root == place:
        return True
    match place:
        case "model":
            return root == "numpy"
        case "gen":
            if root == "model":
                return rest.split(".")[-1] in DATA
            return root in ("amaranth", "numpy")
        case "verif":
            return root != "torch" and (root != "sw" or module.startswith(("sw.sim", "sw.io")))
        case "synth":
            if root == "gen":
                return rest in ("emit", "engines", "progress")
            if root == "model":
                return rest in ("accelerator", "area", "command", "errors", "files", "memory_area",
                                "technology", "cta", "cta.area", "lookup", "lookup.area")
            if root == "sw":
                return rest in ("io.build_cache", "io.toolchain")
            return root not in (*OWN, "amaranth", "cocotb", "torch")
    return True


def places(package: str):
    """(place, file) of all files of a top folder."""
    for path in sorted((ROOT / package).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield room(module) if package == "sw" else package, path


@pytest.mark.parametrize("package", OWN[:-1])
def test_arrows(package):
    for place, path in places(package):
        for module in imports(path):
            assert allowed(place, module), (
                f"{path.relative_to(ROOT)} imports {module}: see docs/decisions/0001-layers.md")


def test_rooms_stand_on_those_before_them():
    seen = {"gen"}
    for name, below in ROOMS.items():
        assert seen.issuperset(below), f"{name} takes from {set(below) - seen}, which come later"
        seen.add(name)


def test_every_room_is_in_the_table():
    found = {f"sw.{path.parent.name}" for path in (ROOT / "sw").glob("*/__init__.py")}
    assert found == set(ROOMS)


def test_the_top_of_sw_holds_the_command_alone():
    assert {path.name for path in (ROOT / "sw").glob("*.py")} == {"__init__.py", "cli.py"}


def modules() -> dict[str, set[str]]:
    """Own modules that each module imports, inside functions as well."""
    found = {}
    for package in OWN[:-1]:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = set(imports(path))
    return {name: {module for module in taken if module in found and module != name}
            for name, taken in found.items()}


def test_no_module_imports_itself_round_a_corner():
    graph = modules()
    order, state = [], {}

    def visit(name, path):
        assert state.get(name) != "open", " -> ".join([*path[path.index(name):], name])
        if name not in state:
            state[name] = "open"
            for other in sorted(graph[name]):
                visit(other, [*path, name])
            state[name] = "done"
            order.append(name)

    for name in sorted(graph):
        visit(name, [])
    assert len(order) == len(graph)


def test_the_scan_sees_a_wrong_arrow():
    assert not allowed("model", "amaranth.hdl")
    assert not allowed("gen", "model.cta.head")
    assert not allowed("gen", "sw.sim.engine")
    assert not allowed("sw.run", "sw.lm.loop")
    assert not allowed("sw.run", "torch")
    assert not allowed("sw.nn", "gen.emit")
    assert not allowed("sw.exported", "verif.runner")
    assert not allowed("sw.io", "sw.sim.engine")
    assert allowed("sw.run", "sw.sim.engine")
    assert not allowed("verif", "torch")
    assert not allowed("synth", "gen.cta.pe") and not allowed("synth", "sw.sim.engine")
    assert allowed("synth", "gen.engines") and not allowed("synth", "model.cta.head")
    assert not allowed("verif", "sw.run.head")


def test_generic_blocks_know_no_engine():
    for path in sorted((ROOT / "gen" / "blocks").rglob("*.py")):
        for module in imports(path):
            engine = module.split(".")[1:2]
            assert engine not in (["cta"], ["lookup"]), f"{path.relative_to(ROOT)} imports {module}"


def test_model_needs_numpy_alone():
    modules = [".".join(p.relative_to(ROOT).with_suffix("").parts)
               for p in (ROOT / "model").rglob("*.py") if p.name != "__init__.py"]
    code = (f"import sys; [__import__(m) for m in {sorted(modules)!r}]; "
            "print([m for m in ('amaranth', 'cocotb', 'torch') if m in sys.modules])")
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_running_a_layer_needs_no_torch():
    code = "import sys, sw, sw.run.command; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_every_package_is_listed_for_installation():
    import tomllib
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {".".join(p.parent.relative_to(ROOT).parts) for package in OWN[:-1]
             for p in (ROOT / package).rglob("__init__.py")}
    assert set(listed) == found | {"rtl"}


def test_quick_tests_need_no_compiler_and_no_torch():
    """The selection of ``make check`` follows what a test file loads, also by a module in between."""
    tests = ROOT / "tests"
    assert is_quick(tests / "model/cta/test_head.py") and is_quick(tests / "gen/cta/test_pe.py")
    assert "sw.sim.cta" in reached(tests / "gen/cta/test_top.py")
    assert not is_quick(tests / "gen/cta/test_top.py")
    assert "torch" in reached(tests / "sw/studies/test_compare.py")
    assert "amaranth.sim" in reached(tests / "gen/cta/test_loader.py")      # by tests.gen.native
    assert len([path for path in tests.rglob("test_*.py") if is_quick(path)]) > 50


def test_a_file_of_tests_is_skipped_where_its_extra_is_missing():
    """By what it imports, whatever stands in between; what a function imports does not count."""
    def missing(name):
        return lambda module: module != name

    assert (extras()["torch"], extras()["transformers"], extras()["amaranth"]) == ("sw", "hf", "rtl")
    tests = ROOT / "tests"
    assert lacking(tests / "sw/studies/test_compare.py", missing("torch")) == "sw"
    assert lacking(tests / "gen/cta/test_issue.py", missing("amaranth")) == "rtl"
    assert lacking(tests / "model/cta/test_head.py", lambda module: module == "pytest") is None
    assert lacking(tests / "sw/run/test_layer.py", missing("torch")) is None
