"""The memories of a CTA engine: every shape and how many of it there are.

Depths are those of :class:`model.cta.memories.Memories`; a test holds the list to that of the Verilog.
"""

from collections import Counter

from model.cta.config import CTAConfig
from model.fixed import clog2
from model.memory_area import Macro

__all__ = ["macros"]

ONE, TWO = "hl_sram_1r1w", "hl_sram_1rw1r"
TABLES, COPIES = 3, 2
"""Cluster tables, one a hash, and how often they are kept: one of the running job, one that leaves."""


def macros(cfg: CTAConfig) -> Counter[Macro]:
    """The memories of an engine by shape."""
    fmt, found = cfg.fmt, Counter()

    def add(kind: str, depth: int, width: int, count: int):
        found[Macro(kind, depth, width)] += count
    row = max(fmt.centroid.width, fmt.qkv.width)
    for kind, depth, width in ((TWO, cfg.token_depth, fmt.token.width),
                               (ONE, cfg.weight_depth, max(fmt.weight.width, fmt.lsh_a.width)),
                               (ONE, cfg.key_depth, row), (TWO, cfg.value_depth, row),
                               (ONE, cfg.queries, fmt.output.width)):
        add(kind, depth, width, cfg.d)                                          # a lane
    largest = max(cfg.k0, cfg.k1, cfg.k2)
    add(ONE, largest, cfg.d * cfg.csum.width, cfg.sums)                         # centroid sums
    add(ONE, largest, cfg.count_width, cfg.sums)
    add(ONE, cfg.n, cfg.b * fmt.hash.width, cfg.passes - 1)                     # earlier hashes of a token
    add(TWO, -(-cfg.n // 2), cfg.token_id_width, 2 * TABLES * COPIES)
    for layer in range(1, cfg.tree_digits):
        rows, children = (min(largest, 1 << cfg.digit * at) for at in (layer, layer + 1))
        add(ONE, rows, (1 + max(1, clog2(children))) << cfg.digit, 1)
    add(ONE, 2 * cfg.d * cfg.sets, fmt.bias.width, 1)
    if cfg.slices > 1:
        for column in range(cfg.b):
            add(ONE, max(cfg.n, 2 * cfg.d) if column < cfg.hash_columns else 2 * cfg.d, cfg.acc.width, 1)
    for depth in (cfg.entries, cfg.k2):
        add(TWO, depth, cfg.b * fmt.score.width, 2)
        add(ONE, depth, cfg.tiles * cfg.ap_bank.width, 2 * cfg.pag_rounds)
    return Counter({macro: count for macro, count in found.items() if count})
