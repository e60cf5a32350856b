"""The picture of a synthesis: what of a chip is which block, and which memory."""

import io
from pathlib import Path

from model.errors import ConfigError
from model.files import write_bytes
from synth.area import Area

__all__ = ["KINDS", "bars", "draw", "figure", "save"]

KINDS = ("svg", "png", "pdf")
SHOWN = 10


def draw(found: Area, engine: str, path) -> None:
    """Draw the largest blocks and memories, in mm², into a file whose name ends in one of :data:`KINDS`.

    Raises ConfigError for another ending, and where matplotlib is missing.
    """
    drawing = figure(path)
    logic, memories = drawing.subplots(1, 2)
    bars(logic, "logic", "#2F6DB5", found.logic_um2,
         [(f"{b.name} × {b.instances:,}", b.total_um2) for b in found.blocks])
    bars(memories, "memories", "#3A8F5C", found.sram_um2,
         [(f"{m.macro.depth} × {m.macro.width}, {m.count:,} in {m.block}", m.total_um2)
          for m in found.memories])
    drawing.suptitle(f"{engine}, {found.technology.name}: {found.chip_um2 / 1e6:.3f} mm²")
    save(drawing, path)


def figure(path):
    """An empty figure for a file. Raises ConfigError for an ending that is none of :data:`KINDS`, and where
    matplotlib is missing."""
    kind = Path(path).suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise ConfigError(f"plot is {str(path)!r}, must end in one of {', '.join('.' + k for k in KINDS)}")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("a picture needs matplotlib, which `make setup` installs (extra plot)") from None
    return Figure(figsize=(10, 4.5), layout="constrained")


def save(drawing, path) -> None:
    """Write a figure to its file."""
    import matplotlib
    kind, content = Path(path).suffix.removeprefix(".").lower(), io.BytesIO()
    # No date and no random names: the same design gives the same bytes. Text of an SVG stays text.
    with matplotlib.rc_context({"svg.hashsalt": "hashlayer", "svg.fonttype": "none"}):
        drawing.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else None)
    write_bytes(path, content.getvalue())


def bars(axes, title: str, colour: str, total: float, parts: list[tuple[str, float]], scale: float = 1e6,
         unit: str = "mm²") -> None:
    """The largest parts as bars in ``unit``, each of ``scale``, and the rest as one."""
    rest = sum(size for _, size in parts[SHOWN:])
    shown = parts[:SHOWN] + ([(f"{len(parts) - SHOWN} more", rest)] if rest else [])
    drawn = axes.barh([name for name, _ in shown], [size / scale for _, size in shown], color=colour)
    axes.bar_label(drawn, [f"{size / total:.1%}" for _, size in shown], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(unit)
    axes.set_title(f"{title}: {total / scale:,.3f} {unit}", fontsize=11)
    axes.tick_params(labelsize=8)
