"""A walk that leaves turns out gives what one that takes them all does, to the last use."""

import random

import pytest

from model.cta import steady
from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.job import Mode
from model.errors import ConfigError

SEEDS = range(60)


def engine(rng) -> CTAConfig:
    while True:
        d = rng.choice((8, 16, 32))
        try:
            return CTAConfig(b=rng.choice((2, 4, 8, 16)), d=d, dw=d * rng.choice((1, 1, 2, 3, 4)), n=300,
                             l=rng.randint(1, 8), pag=rng.choice((2, 4, 8)), digit=rng.choice((1, 2, 4)),
                             program=rng.choice(("table1", "weights")), ahead=rng.random() < 0.6,
                             aps=rng.choice((1, 2)), sums=rng.choice((1, 2)),
                             products=rng.choice(("plain", "fast")))
        except ConfigError:
            continue


def both(monkeypatch, cfg, *sizes, **how):
    found = head_cycles(cfg, *sizes, **how)
    with monkeypatch.context() as patched:
        patched.setattr(steady.Steady, "begins", lambda self, step: False)
        return found, head_cycles(cfg, *sizes, **how)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_job_of_any_engine(seed, monkeypatch):
    rng = random.Random(seed)
    cfg, n = engine(rng), rng.choice((16, 64, 128, 300))
    m = n if rng.random() < 0.7 else rng.randint(1, n)
    found, whole = both(monkeypatch, cfg, n, m, rng.randint(1, m), rng.randint(1, n), rng.randint(1, n),
                        mode=rng.choice((Mode.CTA, Mode.EXACT)), shared_a=rng.random() < 0.5,
                        reuse=rng.random() < 0.3, held=rng.choice((0, 50)))
    assert found == whole


def test_turns_are_left_out():
    """Most of the batches of a long job, or there would be nothing to it."""
    counted, whole = [], steady.Steady.skip

    def skip(self, *state):
        found = whole(self, *state)
        counted.append(found[1][1] if found[1] else 0)
        return found
    try:
        steady.Steady.skip = skip
        head_cycles(CTAConfig(), 512, 512, 322, 258, 29)
    finally:
        steady.Steady.skip = whole
    assert sum(counted) > 60 and sum(map(bool, counted)) == 2       # of 36 batches of keys, 41 of queries


@pytest.mark.parametrize("name", ["_ahead", "_move"])
def test_what_is_forgotten_shows(name, monkeypatch):
    """A state that is not compared, or not moved, gives other cycles somewhere."""
    empty = {"_ahead": lambda self, *state: (), "_move": lambda self, *state: None}
    monkeypatch.setattr(steady.Steady, name, empty[name])
    for seed in range(150):
        rng = random.Random(seed)
        cfg, n = engine(rng), rng.choice((16, 64, 300))
        found, whole = both(monkeypatch, cfg, n, n, *(rng.randint(1, n) for _ in range(3)))
        if found != whole:
            return
    pytest.fail(f"nobody needs {name}")
