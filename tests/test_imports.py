"""The dependency arrows of docs/decisions/0001-layers.md, by reading every file."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OWN = ("model", "gen", "verif", "sw", "synth", "tests")
DATA = ("errors", "files", "fixed", "config", "job", "layout", "schedule", "timing", "weight_layout")


def imports(path: Path):
    """(module, is at top level) of everything a file imports."""
    tree = ast.parse(path.read_text())
    inside = {id(node) for function in ast.walk(tree)
              if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
              for node in ast.walk(function)}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from model.cta import head` imports model.cta.head.
            package = ROOT / node.module.replace(".", "/")
            names = [f"{node.module}.{a.name}" if package.is_dir() and a.name != "__version__"
                     else node.module for a in node.names]
        for name in names:
            yield name, id(node) not in inside


def allowed(package: str, module: str, top: bool) -> bool:
    root, _, rest = module.partition(".")
    if root == package:
        return True
    if root == "tests":
        return False
    if root in sys.stdlib_module_names:
        return True
    if root == "torch":
        return package == "sw"
    match package:
        case "model":
            return root == "numpy"
        case "gen":
            if root == "model":
                return rest.split(".")[-1] in DATA
            return root in ("amaranth", "numpy")
        case "verif":
            return root != "sw"
        case "sw":
            return root not in ("gen", "amaranth", "cocotb") and (root != "verif" or not top)
        case "synth":
            return root not in OWN
    return True


@pytest.mark.parametrize("package", OWN[:-1])
def test_arrows(package):
    for path in sorted((ROOT / package).rglob("*.py")):
        for module, top in imports(path):
            assert allowed(package, module, top), (
                f"{path.relative_to(ROOT)} imports {module}"
                f"{' at the top level' if top else ''}: see docs/decisions/0001-layers.md")


def test_the_scan_sees_a_wrong_arrow():
    assert not allowed("model", "amaranth.hdl", True)
    assert not allowed("gen", "model.cta.head", True)
    assert not allowed("sw", "verif.engine", True)
    assert allowed("sw", "verif.engine", False)
    assert not allowed("verif", "torch", False)


def test_generic_blocks_know_no_engine():
    for path in sorted((ROOT / "gen" / "blocks").rglob("*.py")):
        for module, _ in imports(path):
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
    code = "import sys, sw, sw.run; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_every_package_is_listed_for_installation():
    import tomllib
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {".".join(p.parent.relative_to(ROOT).parts) for package in OWN[:-1]
             for p in (ROOT / package).rglob("__init__.py")}
    assert set(listed) == found | {"rtl"}
