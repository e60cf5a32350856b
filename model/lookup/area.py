"""What the blocks of a LookupFFN engine are counted by, for its area: lanes, levels, widths, tables.

A block is named as its module without the engine; the figures that belong to these counts are fitted, see
:mod:`model.area`. Blocks that are small are one, "rest".
"""

from model.area import Terms, area_um2, require_fitted
from model.fixed import clog2
from model.lookup.config import LookupConfig
from model.lookup.macros import macros
from model.lookup.timing import contexts, delay_levels, outputs, z_frames, z_lanes
from model.lookup.weight_layout import HOST_LANES

__all__ = ["area", "terms"]


def terms(cfg: LookupConfig) -> Terms:
    """Counts of each block of an engine."""
    lanes, acc, bh4 = z_lanes(cfg), cfg.gather_acc.width, cfg.projection == "bh4"
    serial = len(delay_levels(cfg))
    group = cfg.tau * cfg.fmt.z.width
    return {
        "dot_product": {"multiplier": cfg.multipliers, "output": outputs(cfg),
                        "output*acc": outputs(cfg) * cfg.block_acc.width},
        "block_diagonal": {"one": 1, "lane": lanes, "output": outputs(cfg),
                           "output*acc": outputs(cfg) * cfg.block_acc.width},
        "gather_accumulate": {"lane": cfg.lanes, "lane*acc": cfg.lanes * acc},
        "gather_output": {"one": 1, "element*acc": HOST_LANES * acc, "lane*acc": cfg.lanes * acc},
        "butterfly_level": {"level": bh4 * serial, "level*lane": bh4 * serial * lanes},
        "hadamard": {"lane": bh4 * lanes, "lane*across": bh4 * lanes * clog2(lanes)},
        "soft_code": {"one": 1, "lane": lanes},
        "to_stage": {"lane": bh4 * lanes},
        "score": {"one": 1, "bit": cfg.tau, "neighbour": cfg.neighbours * cfg.tau},
        "grouping": {"one": 1, "lane": lanes, "group": group},
        "rest": {"one": 1, "lane": cfg.lanes, "row_bit": clog2(cfg.rows), "context": contexts(cfg),
                 "frame": z_frames(cfg), "read": clog2(cfg.outstanding), "internal": cfg.tables == "internal",
                 "neighbour": cfg.neighbours, "residual": cfg.residual},
    }


def area(cfg: LookupConfig, technology: str) -> float:
    """µm² of an engine in a technology by name.

    Raises ConfigError for a technology that there is not, and :class:`model.accelerator.NotMeasured` for
    formats and constants that the fit has not seen.
    """
    require_fitted("lookup", "LookupFFN", cfg)
    return area_um2("lookup", terms(cfg), macros(cfg), technology)
