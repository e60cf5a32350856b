"""PE: both dataflows, value loads and result chain, cycle by cycle; shape of the hardware."""

import re

import numpy as np
import pytest
from amaranth.back import rtlil

from gen.cta.pe import PE
from model.cta.config import CTAConfig
from tests.gen.mutants import edited, rewired
from verif.cta.pe_program import random_program
from verif.port_table import play_native

CONFIGS = [CTAConfig(b=2, d=8, n=2), CTAConfig(), CTAConfig(b=32, d=128, dw=2048, n=2048),
           CTAConfig(b=2, d=8, dw=16, n=2, products="fast"), CTAConfig(dw=768, products="fast")]


def check(pe, cfg, seed):
    play_native(pe, random_program(cfg, np.random.default_rng(seed)), seed)


@pytest.mark.parametrize("cfg", CONFIGS, ids=lambda cfg: f"acc{cfg.acc.width}-{cfg.products}")
def test_random_cycles(cfg):
    check(PE(cfg), cfg, cfg.acc.width)


def test_one_multiplier_one_adder():
    text = rtlil.convert(PE(CTAConfig()))
    assert len(re.findall(r"cell \$mul\b", text)) == 1
    assert len(re.findall(r"cell \$(add|sub)\b", text)) == 1


@pytest.mark.parametrize("wrong", [
    {"shift": lambda port: 0}, {"svc": lambda port: 0}, {"sum_in": lambda port: port + 1},
    {"push": lambda port: ~port}], ids=lambda wrong: next(iter(wrong)))
def test_mutation(wrong):
    cfg = CTAConfig(b=2, d=8, n=2)
    with pytest.raises(AssertionError, match="seed 1"):
        check(rewired(PE, **wrong)(cfg), cfg, 1)


@pytest.mark.parametrize("edit", [
    ("Mux(pair, other, 0)", "other"), ("Mux(pair, self.y_in, 0)", "self.y_in"),
    ("Mux(swap, held, second)", "second"), ("Mux(outside, comes,", "Mux(0, comes,"),
    ("held.eq(shadow)", "held.eq(self.shadow_in)"),
    ("own + Mux", "second + Mux"), ("self.y_out.eq(factor)", "self.y_out.eq(comes)")],
    ids=lambda edit: edit[0])
def test_mutants_of_fast_products(edit):
    cfg = CTAConfig(b=2, d=8, dw=16, n=2, products="fast")
    mutant = edited(PE, *edit, "_pair")
    with pytest.raises(AssertionError, match="seed 1"):
        check(mutant(cfg), cfg, 1)
