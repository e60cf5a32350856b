"""Tables read many at once, and the delay of an inverter that drives four."""

import numpy as np
import pytest

from synth.cells import Table
from synth.delays import Tables, fan_out_of_four, smallest_inverter
from synth.technology import technology
from tests.synth.linear import library


def test_a_stack_reads_as_each_table_does():
    random = np.random.default_rng(3)
    shapes = [(1, 1), (1, 4), (3, 1), (2, 3), (7, 7)]
    tables = [Table(np.sort(random.random(x)), np.sort(random.random(y)) * 9, random.random((x, y)))
              for x, y in shapes]
    stack = Tables()
    numbers = np.array([stack.number(table) for table in tables])
    assert stack.number(tables[2]) == numbers[2]
    which, x, y = random.integers(0, 5, 400), random.uniform(-0.5, 1.5, 400), random.uniform(-3, 15, 400)
    expected = [float(tables[at].at(one, other)) for at, one, other in zip(which, x, y)]
    np.testing.assert_allclose(stack.at(numbers[which], x, y), expected)


def test_an_inverter_that_drives_four_by_hand():
    """8 fF make a slew of 0.036 ns; 0.009 + 0.0036 + 0.008 ns."""
    assert smallest_inverter(library()).name == "INV"
    assert fan_out_of_four(library()) == pytest.approx(0.0206)


def test_sky130_is_four_times_as_slow_as_45_nm():
    assert fan_out_of_four(technology("sky130").library) == pytest.approx(0.0819, rel=0.01)
