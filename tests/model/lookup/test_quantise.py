"""Points of a LookupFFN layer: what each follows from, and that shifts reach."""

import dataclasses

import numpy as np
import pytest

from model.border import Borders
from model.fixed import SHIFT, Format
from model.lookup import quantise, reference
from model.lookup.config import STAGES, LookupConfig

CFG = LookupConfig(d=24, h=5, tau=4, block=8)


def peaks(cfg=CFG, **changes):
    return dataclasses.replace(quantise.measure(cfg, reference.synthetic(cfg, 30)), **changes)


@pytest.mark.parametrize("fmt", [Format(True, 8), Format(False, 8), Format(True, 12, 7)])
@pytest.mark.parametrize("size", [1.0, 0.99, 127 / 128, 255 / 256, 1e-3, 3e4, 0.5])
def test_a_point_fits_and_wastes_at_most_a_bit(fmt, size):
    at = quantise.point(fmt, size)
    assert np.ldexp(size, at) <= fmt.max + 0.5
    assert np.ldexp(size, at + 2) > fmt.max
    assert quantise.point(fmt, 0) == 31 == quantise.point(fmt, 1e-30)


def test_measure_looks_at_everything():
    real = reference.synthetic(CFG, 30)
    found = quantise.measure(CFG, real)
    assert found.x == np.abs(real.x).max() and found.out_bias == np.abs(real.out_bias).max()
    assert found.table.tolist() == [np.abs(t).max() for t in real.tables]
    assert found.w.shape == found.product.shape == found.transform.shape == (CFG.copies, STAGES)
    assert found.w[0, 2] == np.abs(real.w[0, 2]).max()
    assert found.y == np.abs(reference.forward(CFG, real)).max()
    dense = dataclasses.replace(CFG, projection="dense")
    found = quantise.measure(dense, reference.synthetic(dense, 30))
    assert np.ndim(found.w) == 0 and found.product is None


def test_no_stage_is_finer_than_what_it_comes_from():
    p = quantise.place(CFG, peaks(product=np.full((1, STAGES), 1e-9)))
    before = np.concatenate([[p.x], p.transform[0, :-1]])
    assert (p.product[0] <= before + p.w[0]).all() and (p.transform <= p.product).all()
    weights, _ = quantise.shifts(CFG, p)
    assert (weights["shift_block"] >= 0).all() and (weights["shift_hadamard"] >= 0).all()


def test_a_table_far_below_the_others_stays_within_the_shift():
    table = peaks().table.copy()
    table[1] = 1e-9
    p = quantise.place(CFG, peaks(table=table))
    shift = quantise.shifts(CFG, p)[0]["shift_s"]
    assert shift.max() <= SHIFT.max and shift.min() >= 0
    assert p.table[1] < quantise.point(CFG.fmt.table, 1e-9)


def test_accumulator_takes_the_coarsest():
    p = quantise.place(CFG, peaks(out_bias=1e4))
    assert p.acc == quantise.point(CFG.fmt.out_bias, 1e4) and p.y <= p.acc
    assert quantise.place(CFG, peaks(residual=1e5)).y == quantise.point(CFG.fmt.output, 1e5)


def test_mix_saturates():
    real = dataclasses.replace(reference.synthetic(CFG, 2), gain=0.7, skip=5.0)
    assert quantise.raw_mix(CFG, real, Borders()) == {"gain": 179, "skip": CFG.fmt.mix.max}
