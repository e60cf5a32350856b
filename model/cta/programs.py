"""The programs that have a name on command lines."""

from model.cta.table1 import TABLE_I
from model.cta.weight_stationary import WEIGHT_STATIONARY

__all__ = ["PROGRAMS"]

PROGRAMS = {"table1": TABLE_I, "weights": WEIGHT_STATIONARY}
