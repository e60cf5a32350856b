"""Array and PPE row together play whole heads: every phase, back to back, in all shapes. A row of PEs makes
fast inner products the plain ones."""

import itertools

import numpy as np
import pytest
from amaranth.hdl import Cat, Const, Value

from gen.cta import systolic_array
from gen.cta.columns import Columns
from gen.cta.pe import PE
from gen.cta.systolic_array import SystolicRow
from model.cta.config import CTAConfig, CTAFormats
from model.fixed import Format
from tests.gen.mutants import rewired
from tests.gen.native import simulate
from verif.cta.array_program import random_program
from verif.port_table import play_native
from verif.ports import NativePorts

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


LEAST = CTAFormats(weight=Format(True, 4, 2), centroid=Format(True, 4, 2), token=Format(True, 5, 3),
                   lsh_a=Format(True, 4, 2), qkv=Format(True, 4, 2), ap=Format(False, 4, 0))


def rows_equal(cfg, weights, operands):
    """A row of two PEs: each of ``weights`` ((w_a, w_b) of either column) with all ``operands`` (x_a, x_b).
    What a sum has too much comes from below, so that the plain inner product must leave at the top."""
    dut, checked = SystolicRow(cfg), 0

    async def bench(ctx):
        nonlocal checked
        ports, due = NativePorts(ctx, dut), {}
        ctl, cycle = dut.ctl.shape(), 0
        below = {}

        async def tick():
            nonlocal cycle, checked
            for j in range(cfg.b):
                ports.set(f"sum_in__{j}", below.pop((j, cycle), 0))
                if (j, cycle) in due:
                    want, about = due.pop((j, cycle))
                    assert ports.signed(f"sum_out__{j}") == want, about
                    checked += 1
            await ctx.tick()
            cycle += 1

        for columns in weights:
            # Differences to the column on the left, the far column first, the second slice before the first.
            pushed = [columns[j][at] - (columns[j - 1][at] if j else 0)
                      for j in reversed(range(cfg.b)) for at in (1, 0)]
            ports.set("ctl", 0)
            ports.set("push", 1)
            for value in pushed:
                ports.set("shadow", value)
                await tick()
            ports.set("push", 0)
            for at, (x_a, x_b) in enumerate(operands):
                ports.set("x", x_a)
                ports.set("y", x_b)
                ports.set("ctl", ctl.const({"pair": 1, "swap": at == 0}).as_bits())
                for j, (w_a, w_b) in enumerate(columns):
                    below[j, cycle + 2 + j] = -x_a * x_b - w_a * w_b
                    due[j, cycle + 3 + j] = x_a * w_a + x_b * w_b, (columns, x_a, x_b)
                await tick()
            ports.set("ctl", 0)
            for _ in range(4):
                await tick()

    simulate(dut, bench)
    return checked


def test_fast_products_of_all_operands_at_the_least_widths(tried):
    """All 2^16 quadruples of two centroids and two weights of 4 bits, in both columns."""
    cfg = CTAConfig(b=2, d=8, dw=16, l=1, n=2, products="fast", fmt=LEAST)
    every = range(-8, 8)
    pairs = [*itertools.product(every, every)]
    checked = rows_equal(cfg, [(pair, pairs[-at]) for at, pair in enumerate(pairs)], pairs)
    assert checked == 2 * 16 ** 4
    tried("fast products", quadruples=checked)


def test_fast_products_of_corners_at_full_width():
    cfg = CTAConfig(b=2, d=8, dw=16, l=1, n=2, products="fast")
    ends = [cfg.fmt.weight.min, cfg.fmt.weight.max, -1, 0]
    pairs = [*itertools.product(ends, ends)]
    assert rows_equal(cfg, [*itertools.product(pairs, pairs)], pairs) == 2 * 16 ** 3
