"""What the schedule tells the sequencer of a row."""

from amaranth.lib import data

from gen.blocks.memory import address_width
from model.cta.config import CTAConfig
from model.cta.job import LSH_WIDTH
from model.cta.schedule import Op
from model.cta.timing import slice_interval

__all__ = ["RowDescriptor"]


class RowDescriptor(data.StructLayout):
    """One stream through the array, and the value load before it.

    ``batch`` is the first centroid row that is loaded, ``rows`` the number of rows there are,
    ``cols`` the number of live columns. ``load_addr`` belongs to column 0, ``addr`` to the first
    slot. From ``split`` on rows, scores and AP are of level 2, whose rows are read from ``load_c2``
    on. ``c1_addr``: the slice of C1 that residuals need. ``exact``: centroids are tokens, and scores
    have one slot more, which is 0 less the maximum. ``final``: no row of this linear follows. Where
    weights stay ``batch`` is the dimension of column 0 of a linear, ``turn`` tells groups in turn apart,
    and ``counted`` that tokens pass for the first time as centroids. With fast products, where two slices
    lie side by side, addresses of tokens and centroids are those of both, but for ``c1_addr``, and ``odd``
    tells them apart.
    """

    def __init__(self, cfg: CTAConfig):
        bank = address_width(cfg.bank_depth)
        slots = max(cfg.n, cfg.keys + 1, cfg.d)
        super().__init__({
            "op": Op, "lsh": LSH_WIDTH, "hpass": cfg.pass_width, "load": 1,
            "part_first": 1, "part_last": 1,
            "length": range(slots + 1), "pad": range(max(slice_interval(cfg), cfg.b) + 1),
            "load_addr": bank, "load_c2": bank,
            "batch": range(max(cfg.n, cfg.keys, cfg.l, cfg.d) + cfg.b + 1),
            "rows": range(max(cfg.queries, cfg.keys, cfg.l, cfg.d) + 1),
            "addr": bank, "c1_addr": address_width(cfg.value_depth), "cols": range(cfg.b + 1),
            "split": range(cfg.entries + 1), "exact": 1, "final": 1,
            **({"turn": 1, "counted": 1} if cfg.program.weights_stay else {}),
            **({"odd": 1} if cfg.program.fast else {}),
        })
