"""Array and PPE row together play whole heads: every phase, back to back, in all shapes."""

import numpy as np
import pytest
from amaranth.hdl import Cat, Const, Value

from gen.cta import systolic_array
from gen.cta.columns import Columns
from gen.cta.pe import PE
from model.cta.config import CTAConfig
from tests.gen.mutants import rewired
from verif.cta.array_program import random_program
from verif.port_table import play_native

# b, l, slices: the hash leaves several columns, two, one, none, or needs several passes.
SHAPES = [(2, 1, 1), (2, 5, 2), (4, 2, 1), (4, 3, 2), (4, 4, 1), (8, 6, 1)]


def run(seed, b, l, slices, exact=False, products="plain"):  # noqa: E741
    cfg = CTAConfig(b=b, d=8, dw=8 * slices, l=l, n=32, products=products)
    program = random_program(cfg, np.random.default_rng(seed), exact)
    play_native(Columns(cfg), program, seed)


@pytest.mark.parametrize("b, l, slices", SHAPES)
def test_program(b, l, slices):  # noqa: E741
    run(100 * b + l, b, l, slices)


@pytest.mark.parametrize("b, l, slices", [(2, 1, 2), (4, 3, 4), (8, 7, 2)])
def test_program_of_fast_products(b, l, slices):  # noqa: E741
    run(100 * b + l, b, l, slices, products="fast")


def test_program_exact():
    run(7, 2, 3, 1, exact=True)


def _no_first(ctl):
    return Cat(Value.cast(ctl)[0], Const(0, 1), Value.cast(ctl)[2])


@pytest.mark.parametrize("wrong", [
    {"push": lambda port: 0}, {"ctl_in": _no_first}, {"shortcut": lambda port: port >> 1}],
    ids=lambda wrong: next(iter(wrong)))
def test_mutation_pe(monkeypatch, wrong):
    """Values that never load, results that never start anew, a shortcut off by one bit."""
    monkeypatch.setattr(systolic_array, "PE", rewired(PE, **wrong))
    with pytest.raises(AssertionError, match="seed 201"):
        run(201, 2, 1, 1)


def test_mutation_borrowed_addend(monkeypatch):
    """CACC's addend taken in the cycle of its operand."""
    monkeypatch.setattr(systolic_array, "delay", lambda m, value, cycles, reset: value)
    with pytest.raises(AssertionError, match="cacc_sum"):
        run(402, 4, 2, 1)
