"""Stimuli keep their promises."""

import numpy as np
import pytest

from model.lookup import layer
from model.lookup.config import LookupConfig
from model.lookup.stimulus import patterned_job, random_job

CONFIGS = [LookupConfig(d=24, h=5, tau=3, block=8, residual=True), LookupConfig(d=8, h=1, tau=1),
           LookupConfig(d=16, h=20, tau=4, projection="dense", neighbours=True)]


def test_a_seed_gives_one_job():
    first, again = (random_job(CONFIGS[0], np.random.default_rng(5), 4) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(vars(first[0]).values(),
                                                    vars(again[0]).values(), strict=True))
    assert np.array_equal(first[1].x, again[1].x) and first[1].shift_y == again[1].shift_y


@pytest.mark.parametrize("cfg", CONFIGS)
def test_a_random_job_moves_every_bit_and_hardly_saturates(cfg):
    weights, job = random_job(cfg, np.random.default_rng(0), 64)
    t = layer.trace(cfg, weights, job)
    assert 0.2 < (t["z"] > 0).mean() < 0.8 and np.abs(t["z"]).max() > 256
    assert t["scores"].max() > cfg.score.max // 4 and np.abs(t["y"]).max() > 4096
    assert sum(t["saturations"].values()) <= t["scores"].size // 8


@pytest.mark.parametrize("cfg", CONFIGS)
def test_patterns(cfg):
    def z(pattern):
        return layer.trace(cfg, *patterned_job(cfg, np.random.default_rng(1), pattern, 40))["z"]

    assert (z("zero") == 0).all() and (z("equal") == z("equal")[0]).all()
    edges = z("edges")
    assert edges.min() >= -2 and edges.max() <= 2
    assert np.isin(z("largest"), (cfg.fmt.z.min, cfg.fmt.z.max)).all()
    with pytest.raises(ValueError, match="pattern is 'odd', must be one of"):
        patterned_job(cfg, np.random.default_rng(1), "odd", 1)
