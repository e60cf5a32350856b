"""Random legal configurations of both engines, each built and run: `make nightly`, which prints how many
and how many outputs were compared; choose seeds with HASHLAYER_SWEEP=seed,seed,…"""

import os

import numpy as np
import pytest

from model.cta.config import HEAD_DIMS, SA_WIDTHS, CTAConfig
from model.cta.programs import PRODUCTS
from model.lookup.config import LookupConfig
from model.lookup.cycles import layer_cycles
from sw.sim import lookup as lookup_driver
from sw.sim.cta import run_jobs
from tests.rtl import test_head, test_lookup

ASKED = os.environ.get("HASHLAYER_SWEEP", "")
SEEDS = [int(seed) for seed in ASKED.split(",") if seed]
LARGE = 16           # configurations of any size; those behind them are of few PEs
CTA_SEEDS, LOOKUP_SEEDS = SEEDS or range(200), SEEDS or range(LARGE)


def random_config(seed, small=False):
    """A configuration small enough to build in a minute or two, unusual in every other way; a ``small``
    one, of few PEs, in a third of that."""
    rng = np.random.default_rng(seed)
    b = int(rng.choice(SA_WIDTHS, p=[.45, .4, .15, 0, 0] if small else [.3, .3, .2, .1, .1]))
    d = int(rng.choice(HEAD_DIMS[:3], p=[1, 0, 0] if small else [.6, .25, .15]))
    n = int(rng.integers(2, 70))
    capacity = {name: int(rng.integers(1, n + 1)) if rng.random() < 0.5 else 0
                for name in ("k0", "k1", "k2", "exact")}
    return CTAConfig(b=b, d=d, dw=d * int(rng.choice([1, 1, 2, 3, 5, 16])),
                     l=int(rng.integers(1, 9)), n=n, pag=2 << int(rng.integers(0, b.bit_length())),
                     sets=int(rng.integers(1, 4)), digit=int(rng.choice([1, 2, 4])),
                     lanes=int(rng.choice([lanes for lanes in (4, 8, 16) if lanes <= d])),
                     tokens=int(rng.integers(n, 2 * n + 1)), sums=int(rng.integers(1, 3)),
                     ahead=bool(rng.integers(4)), **capacity, products=str(rng.choice(PRODUCTS)))


def random_lookup_config(seed):
    """The same for LookupFFN: every kind of shape, small enough to simulate all rows of a tile."""
    rng = np.random.default_rng(seed)
    d = 8 * int(rng.integers(1, 12))
    n = 1 << (d - 1).bit_length()
    block = int(rng.choice([size for size in (4, 8, 16, 32) if size <= n]))
    tile, batch = bool(rng.integers(4)), int(rng.integers(1, 9))
    return LookupConfig(
        d=d, h=int(rng.integers(1, 12)), tau=int(rng.integers(1, 8)), block=block,
        projection=str(rng.choice(["bh4", "bh4", "dense"])),
        neighbours=bool(rng.integers(2)), gelu_scaled=bool(rng.integers(2)),
        residual=bool(rng.integers(2)),
        multipliers=1 << int(rng.integers(0, min(2 * block.bit_length() - 1, 9))),
        lanes=1 << int(rng.integers(0, min(n.bit_length(), 7))), batch=batch if tile else 1, tile=tile,
        tables=str(rng.choice(["external", "external", "internal"])),
        outstanding=1 << int(rng.integers(0, 9)))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", LOOKUP_SEEDS)
def test_random_lookup_configuration(seed):
    cfg = random_lookup_config(seed)
    for note, weights, job in test_lookup.jobs_for(cfg, seed):
        for stalls, latency, jitter in ((0.0, 1 + 13 * (seed % 5), 0), (0.3, 5, 60)):
            result, = lookup_driver.run_jobs(cfg, [(weights, job)], stalls=stalls, seed=seed,
                                             latency=latency, jitter=jitter)
            test_lookup.check(cfg, weights, job, result, f"seed {seed}, {cfg}, {note}")
            if not stalls:
                cycles = layer_cycles(cfg, len(job.x), job.order, latency).total
                assert result.cycles == cycles, f"seed {seed}, {cfg}, {note}"


@pytest.mark.nightly
@pytest.mark.parametrize("seed", CTA_SEEDS)
def test_random_configuration(seed, tried):
    cfg = random_config(seed, small=seed >= LARGE)
    jobs = test_head.jobs_for(cfg, seed)
    results = run_jobs(cfg, [job[1:] for job in jobs], stalls=(seed % 3) / 4, seed=seed)
    for (note, weights, job), result in zip(jobs, results, strict=True):
        test_head.check(cfg, weights, job, result, f"seed {seed}, {cfg}, {note}")
    tried("random CTA engines", configurations=1, jobs=len(jobs),
          outputs=sum(result.o.size for result in results))
