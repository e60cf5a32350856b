"""Benches of the LookupFFN engine: what is built, in which configurations, and the tests it meets.

A configuration is keyword arguments of :class:`LookupConfig`. Factories import late, so that one
bench does not need the blocks of another.
"""

from verif.bench import Bench

__all__ = ["BENCHES"]


def _projection(cfg):
    from gen.lookup.projection import Projection
    return Projection(cfg)


def _hash(cfg):
    from gen.lookup.hash import Hash
    return Hash(cfg)


def _gather(cfg):
    from gen.lookup.gather import Gather
    return Gather(cfg)


def _lookup(cfg):
    from gen.lookup.top import Lookup
    return Lookup(cfg)


BENCHES: dict[str, Bench] = {
    "projection": Bench("verif.lookup.bench_projection", _projection, (
        {"d": 24, "h": 5, "tau": 4, "block": 8, "multipliers": 16},
        {"d": 8, "h": 1, "tau": 1, "block": 8, "multipliers": 64},
        {"d": 40, "h": 13, "tau": 7, "block": 16, "multipliers": 4},
        {"d": 16, "h": 3, "tau": 5, "block": 16, "multipliers": 256},
        {"d": 256, "h": 9, "tau": 16, "block": 16, "multipliers": 64},
        {"d": 24, "h": 5, "tau": 5, "block": 32, "multipliers": 128, "projection": "dense"},
        {"d": 16, "h": 3, "tau": 5, "block": 16, "multipliers": 256, "projection": "dense"},
        {"d": 8, "h": 1, "tau": 3, "multipliers": 1, "projection": "dense"}), "lookup"),
    "hash": Bench("verif.lookup.bench_hash", _hash, (
        {"d": 16, "h": 5, "tau": 8},
        {"d": 24, "h": 7, "tau": 5, "block": 8, "multipliers": 32, "gelu_scaled": False},
        {"d": 8, "h": 20, "tau": 1, "block": 8, "multipliers": 64},
        {"d": 16, "h": 2, "tau": 16, "block": 4, "multipliers": 4, "neighbours": True}), "lookup"),
    "gather": Bench("verif.lookup.bench_gather", _gather, (
        {"d": 16, "h": 9, "tau": 3, "lanes": 16, "batch": 5},
        {"d": 40, "h": 4, "tau": 3, "lanes": 8, "batch": 2, "neighbours": True, "residual": True},
        {"d": 24, "h": 3, "tau": 2, "lanes": 2, "batch": 3, "outstanding": 4},
        {"d": 8, "h": 1, "tau": 1, "lanes": 8, "batch": 1, "gelu_scaled": False},
        {"d": 24, "h": 5, "tau": 3, "lanes": 8, "tile": False, "residual": True},
        {"d": 24, "h": 4, "tau": 4, "lanes": 32, "batch": 4, "tables": "internal"}), "lookup"),
    "lookup": Bench("verif.lookup.bench_lookup", _lookup, (
        {"d": 16, "h": 4, "tau": 3, "block": 4, "multipliers": 8, "lanes": 8, "batch": 3},
        {"d": 24, "h": 5, "tau": 4, "block": 8, "multipliers": 16, "lanes": 32, "batch": 4,
         "tables": "internal", "residual": True},
        {"d": 24, "h": 3, "tau": 2, "block": 8, "multipliers": 8, "lanes": 4, "batch": 2,
         "neighbours": True, "residual": True, "outstanding": 4},
        {"d": 16, "h": 5, "tau": 3, "block": 4, "multipliers": 8, "lanes": 4, "tile": False}), "lookup"),
}
