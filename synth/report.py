"""The report of a synthesis: tables for a person, plain data for a program."""

from synth.area import Area

__all__ = ["PAPER_MM2", "data", "text"]

PAPER_MM2 = {"cta": 2.150}
"""mm² of the chip of the CTA paper, SMIC 40 nm, Fig. 15: 74.6 % of it are the array."""

SHOWN = 0.002
"""Blocks below this share of the logic stand in one line together."""


def _rows(columns: tuple[tuple[str, int], ...], rows) -> list[str]:
    """A table: the first column flush left, the others flush right."""
    return ["  ".join(str(value).rjust(width) if at else str(value).ljust(width)
                      for at, (value, (_, width)) in enumerate(zip(row, columns)))
            for row in [[name for name, _ in columns], *rows]]


def text(found: Area, engine: str) -> str:
    """The tables."""
    logic, technology = found.logic_um2, found.technology
    shown = [block for block in found.blocks if block.total_um2 >= SHOWN * logic]
    rest = [block for block in found.blocks if block.total_um2 < SHOWN * logic]
    blocks = [(b.name, b.instances, f"{b.um2:,.0f}", f"{b.total_um2:,.0f}", f"{b.total_um2 / logic:.1%}",
               f"{b.flip_flops * b.instances:,}") for b in shown]
    if rest:
        blocks.append((f"{len(rest)} more", "", "", f"{sum(b.total_um2 for b in rest):,.0f}",
                       f"{sum(b.total_um2 for b in rest) / logic:.1%}",
                       f"{sum(b.flip_flops * b.instances for b in rest):,}"))
    blocks.append(("all logic", "", "", f"{logic:,.0f}", "100.0%",
                   f"{sum(b.flip_flops * b.instances for b in found.blocks):,}"))
    memories = [(f"{m.macro.kind.removeprefix('hl_sram_')} {m.macro.depth} × {m.macro.width}", m.block,
                 m.count, f"{m.bits / 1000:,.1f}", f"{m.total_um2:,.0f}") for m in found.memories]
    memories.append(("all memories", "", sum(m.count for m in found.memories),
                     f"{found.sram_bits / 1000:,.1f}", f"{found.sram_um2:,.0f}"))
    width = max(len(row[0]) for row in (*blocks, *memories))
    inside = max(len(m.block) for m in found.memories) if found.memories else 2
    lines = [f"{engine} in {technology.name} ({technology.corner})", ""]
    lines += _rows((("block", width), ("count", 6), ("µm² each", 10), ("µm²", 11), ("share", 7),
                    ("flip-flops", 10)), blocks)
    lines += ["", *_rows((("memory", width), ("in", inside), ("count", 6), ("kbit", 9), ("µm²", 11)),
                         memories)]
    lines += ["", f"chip: {found.chip_um2 / 1e6:.3f} mm², {logic / 1e6:.3f} of logic and "
                  f"{found.sram_um2 / 1e6:.3f} of memories ({found.sram_bits / 1e6:.2f} Mbit)"]
    if engine in PAPER_MM2:
        lines.append(f"paper: {PAPER_MM2[engine]:.3f} mm² at 40 nm, array 74.6 %")
    lines += [*technology.notes, "not in it: placement, routing, clock tree, test logic, pads"]
    return "\n".join(lines)


def data(found: Area, engine: str, cfg) -> dict:
    """The same as plain data. What has not been measured is not there."""
    return {
        "engine": engine, "config": {key: value for key, value in cfg.as_dict().items() if key != "fmt"},
        "config_hash": cfg.digest,
        "technology": {"name": found.technology.name, "corner": found.technology.corner,
                       "notes": list(found.technology.notes), "licence": found.technology.licence},
        "logic_um2": found.logic_um2, "sram_bits": found.sram_bits, "sram_um2": found.sram_um2,
        "chip_um2": found.chip_um2,
        "blocks": [{"name": b.name, "instances": b.instances, "cells": b.cells,
                    "flip_flops": b.flip_flops, "um2": b.um2} for b in found.blocks],
        "memories": [{"kind": m.macro.kind, "depth": m.macro.depth, "width": m.macro.width, "in": m.block,
                      "count": m.count, "bits": m.bits, "um2": m.um2} for m in found.memories]}
