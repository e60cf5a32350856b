"""What all rivals have in common: one protocol, constants with their source, honest refusals."""

import ast
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from model.accelerator import NotMeasured
from sw.io.errors import InputError
from sw.rivals import compare
from sw.rivals.ideal import Ideal
from sw.rivals.rival import Area, Layer, Unpriced, fixed_point, interleaved, linear_products
from tests.sw.rivals.made import random_layer, shipped

ROOM = Path(compare.__file__).parent
STANDINGS = ("Read: ", "Recalled: ", "Derived: ", "Assumed: ")


def constants(path: Path):
    """(name, words below it or None) of the numbers of a file, those of its classes too."""
    tree = ast.parse(path.read_text())
    for body in [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]:
        for at, node in enumerate(body):
            target = getattr(node, "target", None) or (getattr(node, "targets", None) or [None])[0]
            names = [name.id for name in getattr(target, "elts", [target]) if isinstance(name, ast.Name)]
            numbers = getattr(node, "value", None) is not None and any(
                isinstance(part, (ast.Constant, ast.Name)) for part in ast.walk(node.value))
            if not (names and names[0].isupper() and numbers) or ast.unparse(node.value) == "None":
                continue
            following = body[at + 1] if at + 1 < len(body) else None
            words = getattr(getattr(following, "value", None), "value", None)
            yield names[0], words if isinstance(words, str) else None


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.stem)
def test_every_constant_says_where_it_comes_from(path):
    for name, words in constants(path):
        if name in ("COLUMNS", "LAYER_KEYS"):
            continue                                # of tables and files, not of machines
        assert words and words.startswith(STANDINGS), f"{path.name}: {name} needs one of {STANDINGS}"


def test_the_scan_sees_constants():
    found = dict(constants(ROOM / "elsa.py")) | dict(constants(ROOM / "published.py"))
    assert {"MODULES", "BIAS_64", "FACTOR", "AREA", "OF_IDEAL"} <= set(found)


@pytest.mark.parametrize("rival", compare.rivals(Layer(64)), ids=lambda rival: rival.name)
def test_protocol(rival):
    layer = shipped(64)
    cycles, moved, products = rival.cycles(layer), rival.accesses(layer), rival.multiplications(layer)
    assert dataclasses.is_dataclass(rival) and rival == dataclasses.replace(rival) and hash(rival)
    assert rival.source and isinstance(cycles, int) and cycles > 0
    assert all(value >= 0 for value in (*moved.values(), *products.values()))
    own = sum(products.values())
    if not getattr(rival, "gpu", False) and "hashes" not in products:
        assert own <= rival.multipliers * cycles    # no multiplier does two things at once
    with pytest.raises(NotMeasured, match="energy of"):
        rival.energy(layer, "40 nm")


@pytest.mark.parametrize("rival", compare.rivals(Layer(64)), ids=lambda rival: rival.name)
def test_heads_follow_each_other(rival):
    """Two heads alike take at most twice as long as one, and hardly less unless clusters are shared."""
    one, two = shipped(64), shipped(64, heads=2)
    ratio = rival.cycles(two) / rival.cycles(one)
    assert (1.4 if "this engine, CTA" in rival.name else 1.9) < ratio <= 2.1
    for ask in (rival.accesses, rival.multiplications):
        assert sum(ask(one).values()) < sum(ask(two).values()) <= 2.001 * sum(ask(one).values())


def test_layers_are_told_apart_by_their_operands():
    one, other = random_layer(seed=0), random_layer(seed=1)
    assert one != other and one == one and len({one, other}) == 2


def test_a_layer_holds_its_operands_to_its_shape():
    with pytest.raises(InputError, match=r"k has shape \(1, 8, 4\), must be \(1, 9, 4\)"):
        Layer(9, d=4, q=np.zeros((1, 9, 4)), k=np.zeros((1, 8, 4)))
    assert Layer(9, d=4).width == 4 and Layer(9, d=4, dw=8).width == 8
    with pytest.raises(InputError, match="someone chooses its candidates"):
        Layer(9).operands("someone")


def test_area_in_its_technology_alone():
    class Someone(Unpriced):
        name, AREA = "someone", Area(2.0, "40 nm")

    assert Someone().area("40 nm") == 2e6
    with pytest.raises(NotMeasured, match="known in 40 nm alone"):
        Someone().area("7 nm")
    with pytest.raises(NotMeasured, match="area of ideal: no figure"):
        Ideal().area("40 nm")


def test_helpers():
    assert linear_products(Layer(5, 2, m=3, d=4, dw=8)) == 2 * (3 + 5 + 5) * 8 * 4
    assert interleaved(np.array([[1, 2, 3, 4, 5]]), 2).tolist() == [1 + 3 + 5]
    assert fixed_point(np.array([-2.0, 1.0]), 4).tolist() == [-7, 4]
    assert fixed_point(np.zeros(2), 4).tolist() == [0, 0]
