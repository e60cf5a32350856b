"""Projection: the transform against its matrix, stages and z against the oracle, corners."""

from dataclasses import replace

import numpy as np
import pytest

from model.lookup import bh4
from model.lookup.config import LookupConfig
from model.lookup.job import Saturation
from model.lookup.stimulus import random_job
from tests.model.lookup import oracle

CONFIGS = [LookupConfig(d=8, h=1, tau=1, block=4), LookupConfig(d=8, h=3, tau=4, block=8),
           LookupConfig(d=24, h=5, tau=3, block=8), LookupConfig(d=16, h=33, tau=1, block=16),
           LookupConfig(d=24, h=2, tau=5, projection="dense")]


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_the_transform_is_the_matrix_of_sylvester(n):
    matrix = np.array([[oracle.sylvester(i, k) for i in range(n)] for k in range(n)])
    rng = np.random.default_rng(n)
    u = rng.integers(-8192, 8192, (3, 2, n))
    assert (bh4.hadamard(u) == u @ matrix.T).all()


def test_the_transform_keeps_its_operand():
    u = np.arange(8)
    bh4.hadamard(u)
    assert (u == np.arange(8)).all()


@pytest.mark.parametrize("cfg", CONFIGS)
@pytest.mark.parametrize("saturating", [False, True])
def test_every_stage_is_that_of_the_oracle(cfg, saturating):
    for seed in range(3):
        weights, job = random_job(cfg, np.random.default_rng(seed), 3, saturating)
        args = job.gain, job.skip, job.shift_skip
        want, events, blocks, hadamards = oracle.project(cfg, job.x.tolist(), weights, *args)
        z, saturations = bh4.project(cfg, job.x, weights, *args)
        assert z.tolist() == want, f"seed {seed}"
        for kind, count in events.items():
            assert saturations.get(Saturation[kind], 0) == count, f"{kind}, seed {seed}"
        if cfg.projection == "bh4":
            products, transforms, _ = bh4.stages(cfg, job.x, weights)
            for (c, j), values in blocks.items():
                assert products[c, j].tolist() == values, f"seed {seed}"
                assert transforms[c, j].tolist() == hadamards[c, j], f"seed {seed}"


def test_a_saturating_job_saturates_everywhere():
    cfg = CONFIGS[2]
    weights, job = random_job(cfg, np.random.default_rng(0), 8, saturating=True)
    _, saturations = bh4.project(cfg, job.x, weights, job.gain, job.skip, job.shift_skip)
    assert all(saturations[kind] > 0 for kind in (Saturation.BLOCK, Saturation.HADAMARD,
                                                  Saturation.Z))


def test_padding_is_zero_and_does_not_depend_on_its_weights():
    # Columns of the first stage that meet padding alone may hold anything.
    cfg = LookupConfig(d=24, h=4, tau=4, block=8)
    weights, job = random_job(cfg, np.random.default_rng(1), 4)
    other = weights.w.copy()
    other[:, 0, 3] = 511
    args = job.x, job.gain, job.skip, job.shift_skip
    first = bh4.project(cfg, args[0], weights, *args[1:])
    again = bh4.project(cfg, args[0], replace(weights, w=other), *args[1:])
    assert (first[0] == again[0]).all() and first[1] == again[1]


def test_no_gain_leaves_the_skip_repeated():
    cfg = LookupConfig(d=8, h=5, tau=4, block=8)     # 20 of the 24 elements of three copies
    weights, job = random_job(cfg, np.random.default_rng(2), 4)
    weights = replace(weights, z_bias=np.zeros(cfg.codes, np.int64))
    z, _ = bh4.project(cfg, job.x, weights, 0, 256, 4)     # Q5.7: x as it is
    assert (z == np.tile(job.x, 3)[:, :20]).all()
