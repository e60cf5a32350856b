"""Latencies of the blocks beside the array, as functions of the configuration.

The one place where they are written: ``gen`` builds its delays from them where it can, the tests
hold the blocks to them, and the cycle model adds them up.
"""

from dataclasses import dataclass

from model.cta.config import CTAConfig

__all__ = ["cim_start", "cim_latency", "CAG_ADDRESS", "CAG_CACC", "CAG_WRITE_BACK", "CAG_FIRST_ROW",
           "CagTimes", "cag_schedule"]


# -- cluster index -------------------------------------------------------------------------------

def cim_start(cfg: CTAConfig) -> int:
    """Cycles from column 0 of a token's hash (in the last pass) to its thread at the root.

    One register; with a hash buffer the thread waits for what the last of b columns was given.
    """
    return 1 if cfg.passes == 1 else cfg.b


def cim_latency(cfg: CTAConfig) -> int:
    """Cycles from column 0 of a token's hash (in the last pass) to ``ct_valid``.

    A cycle a layer; the leaf's register is the last layer's.
    """
    return cim_start(cfg) + cfg.tree_digits


# -- probability aggregation ---------------------------------------------------------------------

PAG_STEP = 9
"""Cycles from a pair's CT address to the write of its sums: CT, index, CS, columns, four of the
exponential, and the addition."""


def pag_cycles(cfg: CTAConfig, n: int, cols: int) -> int:
    """Cycles from ``start`` to ``done`` for ``n`` tokens and ``cols`` live columns."""
    return -(-cols // cfg.tiles) * -(-n // 2) + PAG_STEP


def cs_latency(cfg: CTAConfig) -> int:
    """Cycles from the score of column 0 to the write of its word, which ``cs_done`` marks."""
    return cfg.b - 1


def ap_latency(cfg: CTAConfig) -> int:
    """Cycles from ``ap_en`` to ``ap[0]``: memory, operands, sum, shift, rounding."""
    return 5


def ap_clear_delay(cfg: CTAConfig) -> int:
    """Cycles from the last ``ap_en`` of a batch to the earliest ``start`` of the next: none, the
    entry is cleared before the first step of the walk can read it."""
    return 0
