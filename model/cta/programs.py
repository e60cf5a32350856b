"""The programs that have a name on command lines."""

from model.cta.program import WORDS, Program
from model.cta.table1 import TABLE_I
from model.cta.weight_stationary import FAST_PRODUCTS, WEIGHT_STATIONARY

__all__ = ["PRODUCTS", "PROGRAMS", "named"]

PROGRAMS = {WORDS[program.name]: program for program in (TABLE_I, WEIGHT_STATIONARY)}

PRODUCTS = ("plain", "fast")
"""How the linears form their sums: a product a slice, or one for two slices."""


def named(word: str, products: str, slices: int) -> Program:
    """The program of a word of command lines. Fast products fall back to plain ones where centroids stay,
    or where slices do not come in twos."""
    program = PROGRAMS[word]
    return FAST_PRODUCTS if products == "fast" and program.weights_stay and slices % 2 == 0 else program
