"""The report of a synthesis: tables for a person, plain data for a program."""

from synth.area import Area
from synth.speed import Speed
from synth.tables import rows

__all__ = ["PAPER_MM2", "data", "text"]

PAPER_MM2 = {"cta": 2.150}
"""mm² of the chip of the CTA paper, SMIC 40 nm, Fig. 15: 74.6 % of it are the array."""

SHOWN = 0.002
"""Blocks below this share of the logic stand in one line together."""

PATHS = 12
"""Blocks whose worst path is shown; JSON has them all."""


def text(found: Area, fast: Speed, engine: str) -> str:
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
    lines += rows((("block", width), ("count", 6), ("µm² each", 10), ("µm²", 11), ("share", 7),
                    ("flip-flops", 10)), blocks)
    lines += ["", *rows((("memory", width), ("in", inside), ("count", 6), ("kbit", 9), ("µm²", 11)),
                         memories)]
    lines += ["", f"chip: {found.chip_um2 / 1e6:.3f} mm², {logic / 1e6:.3f} of logic and "
                  f"{found.sram_um2 / 1e6:.3f} of memories ({found.sram_bits / 1e6:.2f} Mbit)"]
    if engine in PAPER_MM2:
        lines.append(f"paper: {PAPER_MM2[engine]:.3f} mm² at 40 nm, array 74.6 %")
    lines += ["", *_paths(fast), "", *technology.notes,
              "not in it: placement, routing, clock tree, test logic, pads"]
    return "\n".join(lines)


def _paths(fast: Speed) -> list[str]:
    """The worst path into each block, and what follows for the clock."""
    if not fast.paths:
        return ["no path leads from a register to a register"]
    shown = fast.paths[:PATHS]
    worst = [(path.block, f"{path.slack:+.3f}", len(path.steps), "  " + path.start, "  " + path.end)
            for path in shown]
    widths = [max(len(str(row[at])) for row in worst) for at in range(5)]
    lines = rows((("worst path into", widths[0]), ("slack ns", 8), ("cells", 5)), [row[:3] for row in worst])
    ways = [("  from", "  to"), *(row[3:] for row in worst)]
    lines = [f"{line}{start.ljust(widths[3])}{end}".rstrip() for line, (start, end) in zip(lines, ways)]
    if fast.paths[PATHS:]:
        lines.append(f"{len(fast.paths) - PATHS} more blocks: {fast.paths[PATHS].slack:+.3f} ns and better")
    return [*lines, "", f"clock: {fast.fmax:.0f} MHz; worst slack {fast.worst_slack:+.3f} ns at "
            f"{fast.period:g} ns, {sum(path.slack < 0 for path in fast.paths)} of {len(fast.paths)} blocks "
            f"miss it; {fast.buffers.count:,} buffers across blocks ({fast.buffers.um2:,.0f} µm²) count in "
            "time, not in area"]


def data(found: Area, fast: Speed, engine: str, cfg) -> dict:
    """The same as plain data. What has not been measured is not there."""
    return {
        "engine": engine, "config": {key: value for key, value in cfg.as_dict().items() if key != "fmt"},
        "config_hash": cfg.digest,
        "technology": {"name": found.technology.name, "corner": found.technology.corner,
                       "notes": list(found.technology.notes), "licence": found.technology.licence},
        "logic_um2": found.logic_um2, "sram_bits": found.sram_bits, "sram_um2": found.sram_um2,
        "chip_um2": found.chip_um2, **_speed(fast),
        "blocks": [{"name": b.name, "instances": b.instances, "cells": b.cells,
                    "flip_flops": b.flip_flops, "um2": b.um2} for b in found.blocks],
        "memories": [{"kind": m.macro.kind, "depth": m.macro.depth, "width": m.macro.width, "in": m.block,
                      "count": m.count, "bits": m.bits, "um2": m.um2} for m in found.memories]}


def _speed(fast: Speed) -> dict:
    """What there is to say of the clock; nothing where no path was found."""
    if not fast.paths:
        return {}
    return {
        "period_ns": fast.period, "worst_slack_ns": fast.worst_slack, "fmax_mhz": fast.fmax,
        "buffers": {"count": fast.buffers.count, "um2": fast.buffers.um2},
        "paths": [{"block": path.block, "slack_ns": path.slack, "delay_ns": path.delay,
                   "setup_ns": path.setup, "start": path.start, "start_cell": path.start_kind,
                   "end": path.end, "end_cell": path.end_kind,
                   "cells": [{"cell": step.kind, "name": step.name, "rises": step.rises,
                              "delay_ns": step.delay} for step in path.steps]} for path in fast.paths]}
