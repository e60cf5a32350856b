"""Formats and constants as the command line accepts them: RTL and golden model agree on all.

Drawn at random between the narrowest and the widest that can be built, on small shapes. Every
engine is built and run in all modes, with operands of ordinary size and with saturating ones.
"""

import dataclasses

import numpy as np
import pytest

from model.cta import stimulus
from model.cta.config import CTAConfig
from model.cta.job import Mode
from model.cta.programs import PRODUCTS
from model.errors import ConfigError
from model.lookup import stimulus as lookup_stimulus
from model.lookup.config import LookupConfig
from sw.sim import lookup as lookup_driver
from sw.sim.cta import run_jobs
from tests.rtl.test_head import check
from tests.rtl.test_lookup import check as check_lookup


def random_formats(config, rng):
    """Some formats of another width or point, as JSON has them."""
    found = {}
    for item in dataclasses.fields(config.FORMATS):
        low, high = config.BUILDABLE[item.name]
        chosen = getattr(config.FORMATS(), item.name)
        if rng.random() < 0.5:
            continue
        width = int(rng.choice([low, high, rng.integers(low, high + 1), chosen.width + 1,
                                chosen.width - 2]).clip(low, high))
        frac = int(rng.integers(0, 2 * width + 1)) if rng.random() < 0.4 else chosen.frac
        found[item.name] = {"width": width, "frac": frac}
    return found


def random_constants(config, rng):
    """Some constants at an end of their range or within."""
    return {name: int(rng.choice([c.low, c.high, rng.integers(c.low, c.high + 1)]))
            for name, c in config.CONSTANTS.items() if rng.random() < 0.5}


def random_shape(config, rng):
    if config is CTAConfig:
        return {"b": int(rng.choice([2, 4])), "d": 8, "dw": 8 * int(rng.integers(1, 3)), "n": 12,
                "l": int(rng.integers(1, 5)), "digit": int(rng.choice([1, 2, 4])), "lanes": 4,
                "products": str(rng.choice(PRODUCTS))}
    return {"d": 16, "h": int(rng.integers(1, 5)), "tau": int(rng.integers(1, 5)), "block": 4,
            "multipliers": 8, "lanes": 8, "batch": 2,
            **{name: bool(rng.integers(2)) for name in ("neighbours", "gelu_scaled", "residual")},
            "projection": str(rng.choice(["bh4", "dense"]))}


def random_config(config, seed):
    """A configuration that can be built, with the generator that goes on from there."""
    rng = np.random.default_rng(seed)
    for _ in range(500):
        try:
            cfg = config.from_dict({**random_shape(config, rng), **random_constants(config, rng),
                                    "fmt": random_formats(config, rng)})
            cfg.require_buildable()
            return cfg, rng
        except ConfigError:
            continue
    raise AssertionError(f"seed {seed}: nothing that can be built in 500 tries")


def check_cta(cfg, rng, note):
    jobs = []
    for mode in Mode:
        jobs += [stimulus.random_job(cfg, rng, *stimulus.legal_sizes(cfg, rng, mode, cross), mode=mode,
                                     saturating=cross) for cross in (False, True)]
    for (weights, job), result in zip(jobs, run_jobs(cfg, jobs), strict=True):
        check(cfg, weights, job, result, note)


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(1, 24))]


@pytest.mark.reliability
@pytest.mark.parametrize("seed", SEEDS)
def test_cta(seed, tried):
    cfg, rng = random_config(CTAConfig, seed)
    check_cta(cfg, rng, f"seed {seed}, {cfg}")
    tried("formats", configurations=1)


@pytest.mark.reliability
@pytest.mark.parametrize("seed", SEEDS)
def test_lookup(seed, tried):
    cfg, rng = random_config(LookupConfig, seed)
    check_lookup_config(cfg, rng, f"seed {seed}, {cfg}")
    tried("formats", configurations=1)


def check_lookup_config(cfg, rng, note):
    for saturating in (False, True):
        weights, job = lookup_stimulus.random_job(cfg, rng, 5, saturating)
        result, = lookup_driver.run_jobs(cfg, [(weights, job)])
        check_lookup(cfg, weights, job, result, note)


FOUND = [(CTAConfig, {"fmt": {"prob": {"width": 4, "frac": 4}}}), (CTAConfig, {"exp_mantissa": 4}),
         (LookupConfig, {"log_index": 2, "log_reach": 4, "log_mantissa": 4, "exp_index": 4}),
         (LookupConfig, {"exp_index": 10, "neighbours": True, "flip_frac": 3})]


@pytest.mark.parametrize("config, data", FOUND)
def test_found_by_the_sweep(config, data):
    """Exponentials that round past a narrow format; entries of a coarse table that round to 2; tables
    of logarithms with little in them; roundings that cut nothing."""
    shape = random_shape(config, np.random.default_rng(1))
    cfg, rng = config.from_dict({**shape, **data}), np.random.default_rng(1)
    run = check_cta if config is CTAConfig else check_lookup_config
    run(cfg, rng, str(data))
