"""Benches of the LookupFFN engine: what is built, in which configurations, and the tests it meets.

A configuration is keyword arguments of :class:`LookupConfig`. Factories import late, so that one
bench does not need the blocks of another.
"""

from verif.bench import Bench

__all__ = ["BENCHES"]


def _projection(cfg):
    from gen.lookup.projection import Projection
    return Projection(cfg)


BENCHES: dict[str, Bench] = {
    "projection": Bench("verif.lookup.bench_projection", _projection, (
        {"d": 24, "h": 5, "tau": 4, "block": 8, "multipliers": 16},
        {"d": 8, "h": 1, "tau": 1, "block": 8, "multipliers": 64},
        {"d": 40, "h": 13, "tau": 7, "block": 16, "multipliers": 4},
        {"d": 32, "h": 4, "tau": 5, "block": 32, "multipliers": 1024},
        {"d": 256, "h": 9, "tau": 16, "block": 16, "multipliers": 64},
        {"d": 24, "h": 5, "tau": 5, "block": 32, "multipliers": 128, "projection": "dense"},
        {"d": 8, "h": 1, "tau": 3, "multipliers": 1, "projection": "dense"}), "lookup"),
}
