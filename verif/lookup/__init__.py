"""Benches of the LookupFFN engine: what is built, in which configurations, and the tests it meets.

A configuration is keyword arguments of :class:`LookupConfig`. Factories import late, so that one
bench does not need the blocks of another.
"""

from verif.bench import Bench

__all__ = ["BENCHES"]

BENCHES: dict[str, Bench] = {}
