"""Random legal configurations, each built and run: `make nightly`, or HASHLAYER_SWEEP=seed,seed,…"""

import os

import numpy as np
import pytest

from model.cta.config import HEAD_DIMS, SA_WIDTHS, CTAConfig
from tests.rtl.test_head import check, jobs_for
from verif.cta.driver import run_jobs

ASKED = os.environ.get("HASHLAYER_SWEEP", "")
SEEDS = [int(seed) for seed in ASKED.split(",") if seed] or range(16)


def random_config(seed):
    """A configuration small enough to build in a minute or two, unusual in every other way."""
    rng = np.random.default_rng(seed)
    b = int(rng.choice(SA_WIDTHS, p=[.3, .3, .2, .1, .1]))
    d = int(rng.choice(HEAD_DIMS[:3], p=[.6, .25, .15]))
    n = int(rng.integers(2, 70))
    capacity = {name: int(rng.integers(1, n + 1)) if rng.random() < 0.5 else 0
                for name in ("k0", "k1", "k2")}
    return CTAConfig(b=b, d=d, dw=d * int(rng.choice([1, 1, 2, 3, 5, 16])),
                     l=int(rng.integers(1, 9)), n=n, pag=2 << int(rng.integers(0, b.bit_length())),
                     sets=int(rng.integers(1, 4)), digit=int(rng.choice([1, 2, 4])),
                     lanes=int(rng.choice([lanes for lanes in (4, 8, 16) if lanes <= d])),
                     **capacity)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", SEEDS)
def test_random_configuration(seed):
    cfg = random_config(seed)
    jobs = jobs_for(cfg, seed)
    results = run_jobs(cfg, [job[1:] for job in jobs], stalls=(seed % 3) / 4, seed=seed)
    for (note, weights, job), result in zip(jobs, results, strict=True):
        check(cfg, weights, job, result, f"seed {seed}, {cfg}, {note}")
