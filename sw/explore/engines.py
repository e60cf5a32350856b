"""The engines that a space may be of, and the figures of a design."""

from sw.explore import cta, lookup

__all__ = ["ENGINES", "FIGURES"]

ENGINES = {"cta": cta, "lookup": lookup}
"""By name the module that prices a point: ``CONFIG``, ``COMMON`` (what its workloads have in common) and
``price(point)``."""

FIGURES = {
    "cycles": "cycles of all layers", "time_us": "microseconds of all layers at clock_mhz",
    "area_mm2": "mm2 of cells and memories before layout", "memory_mbit": "Mbit of memories",
    "energy_uj": "µJ of all layers, as measured on mapped blocks",
    "energy_scaled_uj": "µJ of all layers, scaled by gates from the engine that was measured",
    "error": "relative error of attention on the operands, mean over layers, without fine-tuning",
    "elements_a_cycle": "elements that the host streams move a cycle, on average"}
"""Columns that can be minimised and bounded, less being better."""
