"""The memories of a CTA engine by shape, as macros that a technology prices."""

from collections import Counter

from model.cta.banks import banks
from model.cta.config import CTAConfig
from model.memory_area import Macro

__all__ = ["macros"]


def macros(cfg: CTAConfig) -> Counter[Macro]:
    """The memories of an engine by shape, and how many of each there are."""
    found = Counter()
    for bank in banks(cfg):
        found[Macro(f"hl_sram_{bank.ports}", bank.depth, bank.width)] += bank.count
    return found
