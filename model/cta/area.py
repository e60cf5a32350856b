"""What the blocks of a CTA engine are counted by, for its area: columns, rows, widths, tables.

A block is named as its module without the engine; the figures that belong to these counts are fitted, see
:mod:`model.area`. Blocks that are small are one, "rest".
"""

from model.area import Terms, area_um2, require_fitted
from model.cta.config import CTAConfig
from model.cta.macros import macros
from model.fixed import clog2

__all__ = ["area", "terms"]


def _by(name: str, count: float, **widths: float) -> dict[str, float]:
    """A count, and the count times each width."""
    return {name: count} | {f"{name}*{width}": count * value for width, value in widths.items()}


def terms(cfg: CTAConfig) -> Terms:
    """Counts of each block of an engine."""
    pe, rows, address = cfg.columns * cfg.d, cfg.d, clog2(cfg.bank_depth)
    children = [clog2(cfg.tree_rows(layer + 1)) for layer in range(1, cfg.tree_digits)]
    banks = 4                                                   # of AP: two levels, even and odd
    return {
        "pe": _by("pe", pe, acc=cfg.acc.width),
        "lane": _by("row", rows, address=address, slices=cfg.slices > 1),
        "ppe": _by("column", cfg.b, acc=cfg.acc.width),
        "ppe_multiplier": {"column": cfg.b},
        "mean_lane": _by("row", rows, sum=cfg.csum.width),
        "sum_lane": _by("row", rows, sum=cfg.csum.width),
        "systolic_row": _by("row", rows) | {"pe": pe},
        "tree_layer": _by("layer", cfg.tree_digits) | {"slot": sum(children) << cfg.digit},
        "ap_bank": _by("bank", banks, tiles=cfg.tiles) | {
            "bit": banks * cfg.tiles * cfg.ap_bank.width,
            "memory*bit": banks * cfg.pag_rounds * cfg.tiles * cfg.ap_bank.width},
        "exponent": {"exponential": cfg.pag},
        "normalise": _by("column", cfg.b, sum=cfg.ap_bank.width),
        "issue": {"one": 1, "row": rows, "column": cfg.b},
        "control": {"one": 1, "bit": cfg.count_width},
        "probability": {"one": 1, "exponential": cfg.pag, "column": cfg.b,
                        "memory": cfg.b * cfg.pag_rounds},
        "parameters": {"one": 1, "hash": cfg.l, "set*hash": cfg.l * cfg.sets},
        "rest": {"one": 1, "row": rows, "column": cfg.b, "column*acc": cfg.b * cfg.acc.width,
                 "column*slices": cfg.b * (cfg.slices > 1), "hash": cfg.l, "passes": cfg.passes - 1,
                 "bit": cfg.count_width, "lane": cfg.lanes},
    }


def area(cfg: CTAConfig, technology: str) -> float:
    """µm² of an engine in a technology by name.

    Raises ConfigError for a technology that there is not, and :class:`model.accelerator.NotMeasured` for
    formats and constants that the fit has not seen.
    """
    require_fitted("cta", "CTA", cfg)
    return area_um2("cta", terms(cfg), macros(cfg), technology)
