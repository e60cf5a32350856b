"""PPE row: every operation, all shifts and magnitudes, drains beside linear and score."""

import numpy as np
import pytest

from gen import fixed
from gen.cta import ppe
from gen.cta.ppe_row import PPERow
from model.cta.config import CTAConfig
from tests.gen.mutants import edited
from verif.cta.ppe_program import Program, random_program
from verif.port_table import play_native

CONFIGS = [CTAConfig(b=4, d=8, l=3, n=16), CTAConfig(b=2, d=8, l=5, dw=64, n=100)]


def check(cfg, seed, jobs=32):
    play_native(PPERow(cfg), random_program(cfg, np.random.default_rng(seed), jobs), seed)


@pytest.mark.parametrize("cfg", CONFIGS, ids=lambda cfg: f"b{cfg.b}-l{cfg.l}")
def test_jobs(cfg):
    check(cfg, cfg.l)


def test_program_meets_every_event():
    """What the jobs above do not reach, they do not check."""
    for cfg in CONFIGS:
        total = random_program(cfg, np.random.default_rng(cfg.l)).total
        assert min(total[name] for name in Program.EVENTS) > 0


@pytest.mark.parametrize("name, wrong", [
    ("round_half_up", fixed.floor_shift),
    ("floor_and_half", lambda value, shift: (fixed.floor_shift(value, shift), 0)),
    ("leading_one", lambda value: fixed.leading_one(value)[1:]),
])
def test_mutation(monkeypatch, name, wrong):
    """Rounding down where it is to the nearest; a denominator of the wrong magnitude."""
    monkeypatch.setattr(ppe, name, wrong)
    with pytest.raises(AssertionError, match="seed 3"):
        check(CONFIGS[0], 3, jobs=6)


@pytest.mark.parametrize("edit", [("product.eq(low + (high << cut))", "product.eq(low + (high << cut - 1))"),
                                  ("self.t[cut:].as_signed()", "self.t[cut:]")], ids=["place", "sign"])
def test_mutant_of_the_multiplier(monkeypatch, edit):
    """The two halves of a product put together a place too low; an upper half without its sign."""
    monkeypatch.setattr(ppe, "Multiplier", edited(ppe.Multiplier, *edit))
    with pytest.raises(AssertionError, match="seed 3"):
        check(CONFIGS[0], 3, jobs=6)
