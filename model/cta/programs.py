"""The programs that have a name on command lines."""

from model.cta.program import WORDS
from model.cta.table1 import TABLE_I
from model.cta.weight_stationary import WEIGHT_STATIONARY

__all__ = ["PROGRAMS"]

PROGRAMS = {WORDS[program.name]: program for program in (TABLE_I, WEIGHT_STATIONARY)}
