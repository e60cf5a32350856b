"""gen.fixed equals model.fixed on every operand of small widths."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, unsigned
from amaranth.sim import Simulator

from gen import fixed as rtl
from model import fixed as golden
from model.fixed import Format

OPERANDS = [Format(True, 1 + 1), Format(True, 5), Format(True, 6), Format(False, 1),
            Format(False, 5)]
TARGETS = [Format(True, 2), Format(True, 3), Format(True, 5), Format(True, 8),
           Format(False, 1), Format(False, 3), Format(False, 5), Format(False, 8)]


def table(build, operand, shifts=(0,)):
    """``build(value, shift)`` evaluated on all raw values of ``operand`` and all ``shifts``."""
    m = Module()
    value, shift = Signal(rtl.shape(operand)), Signal(unsigned(4))
    expression = build(value, shift)
    result = Signal(expression.shape())
    m.d.comb += result.eq(expression)
    rows = []

    async def bench(ctx):
        for s in shifts:
            ctx.set(shift, s)
            row = []
            for raw in range(operand.min, operand.max + 1):
                ctx.set(value, raw)
                row.append(ctx.get(result))
            rows.append(row)

    sim = Simulator(m)
    sim.add_testbench(bench)
    sim.run()
    return np.array(rows)


def raws(operand):
    return np.arange(operand.min, operand.max + 1)


@pytest.mark.parametrize("operand", OPERANDS, ids=str)
@pytest.mark.parametrize("name", ["floor_shift", "round_half_up"])
def test_shift(operand, name):
    shifts = list(range(16))
    want = getattr(golden, name)(raws(operand)[None, :], np.array(shifts)[:, None])
    assert np.array_equal(table(getattr(rtl, name), operand, shifts), want)
    for s in (0, 1, 3, 9):
        fixed = table(lambda value, _: getattr(rtl, name)(value, s), operand)
        assert np.array_equal(fixed[0], want[s]), f"constant shift {s}"


@pytest.mark.parametrize("operand", OPERANDS, ids=str)
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_saturate(operand, target):
    want, moved = golden.saturate(raws(operand), target)
    assert np.array_equal(table(lambda v, _: rtl.saturate(v, target)[0], operand)[0], want)
    assert np.array_equal(table(lambda v, _: rtl.saturate(v, target)[1], operand)[0], moved)


def test_saturate_gives_the_format():
    value, _ = rtl.saturate(Signal(9), Format(False, 5))
    assert value.shape() == unsigned(5)
    for target in TARGETS:
        assert rtl.saturate(Signal(9), target)[0].shape() == rtl.shape(target)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 9])
def test_bit_counts(width):
    operand = Format(False, width)
    want = [max(int(v).bit_length() - 1, 0) for v in raws(operand)]
    assert table(lambda v, _: rtl.leading_one(v), operand)[0].tolist() == want
    want = [int(v).bit_count() for v in raws(operand)]
    assert table(lambda v, _: rtl.popcount(v), operand)[0].tolist() == want


def test_mutation_half_is_seen(monkeypatch):
    """A rounding that drops the half fails the very same check."""
    monkeypatch.setattr(rtl, "round_half_up", rtl.floor_shift)
    with pytest.raises(AssertionError):
        test_shift(Format(True, 5), "round_half_up")
