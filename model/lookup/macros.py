"""The memories of a LookupFFN engine: every shape and how many of it there are.

A test holds the list to that of the Verilog.
"""

from collections import Counter

from model.fixed import SHIFT
from model.lookup.config import STAGES, LookupConfig
from model.lookup.timing import (
    SRAM_BEATS,
    accumulator_words,
    beats,
    contexts,
    delay_levels,
    frame_beats,
    row_slots,
    token_slots,
    z_beats,
    z_frames,
    z_lanes,
)
from model.lookup.weight_layout import HOST_LANES, weight_words
from model.memory_area import Macro

__all__ = ["macros"]

KIND = "hl_sram_1r1w"


def macros(cfg: LookupConfig) -> Counter[Macro]:
    """The memories of an engine by shape."""
    fmt, found, lanes = cfg.fmt, Counter(), z_lanes(cfg)

    def add(depth: int, width: int, count: int = 1):
        found[Macro(KIND, depth, width)] += count

    def by_beats(width: int, across: int, words: int, count: int = 1):
        """A sequence that the host writes eight elements at a time."""
        banks = max(1, across // HOST_LANES)
        add(-(-words * across // (HOST_LANES * banks)), HOST_LANES * width, banks * count)
    dense = cfg.projection == "dense"
    by_beats(fmt.x.width, lanes, token_slots(cfg) * beats(cfg), 1 if dense else 2)
    by_beats(fmt.weight.width, cfg.multipliers, weight_words(cfg))
    if not dense:
        add(contexts(cfg) * beats(cfg), lanes * fmt.stage.width)
        add(cfg.copies * STAGES, SHIFT.width, 2)
        for level, half in enumerate(delay_levels(cfg)):
            if half >= SRAM_BEATS:
                add(half, lanes * (fmt.stage.width + level + 1))
    add(cfg.copies, SHIFT.width)                                                # of z
    add(z_beats(cfg), fmt.z_bias.width, min(lanes, cfg.codes))
    add(z_frames(cfg) * frame_beats(cfg), lanes * fmt.z.width + 2)
    add(cfg.h, SHIFT.width)                                                     # of scores
    rows = row_slots(cfg) * cfg.h * cfg.entries
    add(rows, cfg.tau)
    add(rows, cfg.score.width)
    beat, table = 8 * cfg.lanes, cfg.row_beats << cfg.tau
    if cfg.tile:
        add(2 * table, beat)
    if cfg.tables == "internal":
        add(cfg.rows * cfg.row_beats, beat)
    add(accumulator_words(cfg), cfg.lanes * cfg.gather_acc.width, 2)
    add(cfg.d // HOST_LANES, fmt.out_bias.width, HOST_LANES)
    return Counter({macro: count for macro, count in found.items() if count})
