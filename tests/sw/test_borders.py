"""A rule over the sources: nothing becomes an integer but through the counted border.

``Borders.quantise`` (numpy) and ``sw.quant.fixed.counted`` (torch) are the only ways from a real
tensor to raw integers. The scan finds every other conversion of an array in the software and the
golden model; each has a reason here or is a fault.
"""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.structure

ROOT = Path(__file__).resolve().parents[2]
ROUNDINGS = {"rint", "round", "floor", "ceil", "trunc", "fix", "around", "round_", "int", "long",
             "short", "char"}
INTEGERS = {"int", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "long"}

ALLOWED = {
    "model/config.py": (2, "contents of tables, computed from their index"),
    "model/cta/tables.py": (2, "contents of tables, computed from their index"),
    "model/cta/head.py": (2, "raw operands, held against their formats the line before"),
    "model/cta/reference.py": (3, "the float reference's own hash"),
    "model/cta/stimulus.py": (8, "random raw operands: there is no tensor that could be lost"),
    "model/fixed.py": (2, "Format.quantise, the border itself"),
    "model/lookup/config.py": (2, "contents of tables, computed from their index"),
    "model/lookup/gather.py": (1, "int8 table rows, widened"),
    "model/lookup/layout.py": (1, "raw integers to bytes"),
    "model/lookup/quantise.py": (1, "int8 for what is held to 8 bits already"),
    "model/lookup/stimulus.py": (1, "random raw operands: there is no tensor that could be lost"),
    "model/stimulus.py": (2, "random raw operands: there is no tensor that could be lost"),
    "sw/exported/codec.py": (1, "bytes of an image back to the integers that they are"),
    "sw/lm/data.py": (1, "numbers of tokens"), "sw/lm/tokens.py": (1, "numbers of tokens"),
    "sw/nn/clustering.py": (3, "the float layer's own hash, of the engine's range by design"),
    "sw/nn/ffn/slide.py": (1, "bits of a hash"), "sw/nn/ffn/yoso.py": (1, "bits of a hash"),
    "sw/kernels/lookup.py": (2, "raw integers of the kernel, widened"),
    "sw/sim/cta.py": (1, "beats of an engine back to the integers that they are"),
    "sw/sim/lookup.py": (1, "beats of an engine back to the integers that they are"),
    "sw/studies/pretrained/folder.py": (1, "a mask"),
    "sw/quant/cta_stages.py": (5, "integers that travel as float64, and indices of tables"),
    "sw/quant/fixed.py": (4, "the twin of the border for torch, and shifts of integers"),
    "sw/quant/lookup_stages.py": (5, "integers that travel as float64, and indices of tables"),
    "sw/quant/observe.py": (2, "bins of magnitudes"),
}
"""How many conversions of its own a file has, and why those are no border."""


def _called(node):
    return node.func.attr if isinstance(node.func, ast.Attribute) else \
        node.func.id if isinstance(node.func, ast.Name) else ""


def _is_integer(node):
    name = node.attr if isinstance(node, ast.Attribute) else \
        node.id if isinstance(node, ast.Name) else \
        node.value if isinstance(node, ast.Constant) else ""
    return str(name).lstrip("<>=") in INTEGERS | {"i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}


def _integral(node):
    """Whether an operand is an integer for sure: what a conversion of a mask or a count starts
    from is no real tensor."""
    return isinstance(node, ast.Compare) or isinstance(node, ast.Constant) or (
        isinstance(node, ast.Call) and _called(node) in ("sum", "view", "argsort", "len"))


def conversions(tree):
    """(line, text) of each call that takes floats to integers, or may."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name, method = _called(node), isinstance(node.func, ast.Attribute)
        of = node.func.value if method else None
        module = isinstance(of, ast.Name) and of.id in ("np", "numpy", "torch", "math")
        subject = node.args[0] if module and node.args else of
        if name in ROUNDINGS and method and not (isinstance(of, ast.Name) and of.id == "math") \
                and subject is not None and not _integral(subject):
            yield node.lineno, name
        if name in ("astype", "to", "type") and method and not _integral(of) and any(
                map(_is_integer, [*node.args, *(key.value for key in node.keywords)])):
            yield node.lineno, name


def uncounted(tree):
    """(line, text) of each use of a quantiser that drops the count."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in ("quantise", "tokens", "residual"):
            receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
            text = ast.unparse(node)
            if _called(node) == "quantise" and receiver is not None and any(
                    part in ast.unparse(receiver) for part in ("fmt", "f.", "Format")):
                yield node.lineno, f"{text}: not through Borders"
            if _called(node) in ("tokens", "residual") and receiver is not None \
                    and "layer" in ast.unparse(receiver) and len(node.args) < 2:
                yield node.lineno, f"{text}: without borders"


def _sources():
    return sorted(path for room in ("model", "sw") for path in (ROOT / room).rglob("*.py"))


@pytest.mark.reliability
def test_no_conversion_outside_the_border(tried):
    wrong, seen = [], 0
    for path in _sources():
        name, tree = path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))
        found = [f"{name}:{line}: {text}" for line, text in conversions(tree)]
        due, _ = ALLOWED.get(name, (0, ""))
        if len(found) != due:
            wrong += [f"{name} has {len(found)} conversions, must have {due}:", *found]
        if name not in ("model/border.py", "sw/quant/fixed.py"):
            wrong += [f"{name}:{line}: {text}" for line, text in uncounted(tree)]
        seen += len(found)
    assert not wrong, "\n".join(wrong)
    tried("borders: conversions in the sources", files=len(_sources()), conversions=seen)


@pytest.mark.parametrize("text", [
    "np.rint(x)", "x.round()", "np.round(x * 2**7)", "x.astype(int)", "x.astype(np.int64)",
    "x.to(torch.int8)", "x.long()", "torch.floor(x)", "x.astype('<i2')", "torch.round(x)",
    "x.to(dtype=torch.int64)"])
def test_the_scan_sees(text):
    assert list(conversions(ast.parse(text)))


@pytest.mark.parametrize("text", [
    "raw, _ = cfg.fmt.token.quantise(x, 3)", "self.cfg.fmt.token.quantise(x, 3)[0]",
    "f.weight.quantise(w)[0]", "layer.tokens(x)"])
def test_the_scan_sees_dropped_counts(text):
    assert list(uncounted(ast.parse(text)))


@pytest.mark.parametrize("text", [
    "(x > 0).long()", "x.astype(np.float64)", "np.zeros(3, np.int64)", "math.floor(x)",
    "layer.tokens(x, borders)", "borders.quantise('x', fmt, x)"])
def test_the_scan_leaves(text):
    tree = ast.parse(text)
    assert not [*conversions(tree), *uncounted(tree)]
