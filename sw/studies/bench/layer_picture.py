"""The executed schedule of a layer: what the array does, head by head, and what it loses, by cause."""

import io
from pathlib import Path

from model.cta.cycles import HeadCycles, Use
from model.files import write_bytes
from sw.io.errors import InputError
from sw.io.plot import BLUE, DARK, GREEN, GREY, ORANGE, PURPLE, RED, SKY, YELLOW

__all__ = ["CAUSES", "WORK", "draw", "joined"]

WORK = {"HASH": ("hash", "#DCEBF7"), "ALPHA": ("products of centroids", "#E4EEDC"),
        "K": ("K, V", "#D9F0E6"), "V": ("K, V", "#D9F0E6"), "Q": ("Q", "#E8E4F3"),
        "SCORE": ("scores", "#FFF3D6"), "OUT": ("outputs", "#FBE3D3"),
        "CACC": ("CACC", "#C8CCD0"), "PAG": ("PAG", "#C8CCD0")}
"""What is useful, in pale colours: the word of the legend, the colour."""

CAUSES = {"value load": RED, "pause": ORANGE, "ragged batch": BLUE, "idle hash columns": SKY,
          "wait for c1": GREEN, "wait for centroids": PURPLE, "wait for probability": YELLOW,
          "wait for drain": "#8A6D1B", "turn of the tokens": "#5A2A0C", "start and end": DARK,
          "outputs of the job before": "#9AA0A6", "wait for queries": "#3B5B7A", "wait for values": "#7A5B3B",
          "products of centroids": "#4F7A3B"}
"""The colour of each cause of :attr:`model.cta.cycles.HeadCycles.losses`; another one is refused."""

LANES = (("SA", "array"), ("lost", "lost"), ("CACC", "centroid sums"), ("PAG", "probabilities"))


def joined(uses: list[Use], colour) -> list[tuple[int, int, float, str]]:
    """(start, end, share, colour) of uses, those that touch and look alike as one."""
    found: list[tuple[int, int, float, str]] = []
    for use in sorted(uses, key=lambda use: use.start):
        start, end, share, last = found[-1] if found else (0, -1, 0.0, "")
        if (end, share, last) == (use.start, use.share, colour(use)):
            found[-1] = (start, use.end, share, last)
        else:
            found.append((use.start, use.end, use.share, colour(use)))
    return found


def _colour(use: Use) -> str:
    if use.unit == "lost":
        return CAUSES[use.what]
    return WORK[use.unit if use.unit in WORK else use.what.partition(" ")[0]][1]


def draw(heads: list[HeadCycles], title: str, path) -> None:
    """A strip a head. Losses stand below the work; a cause that takes part of the array is as high as that.

    Raises InputError for a file that is no SVG, a cause without a colour, and without matplotlib.
    """
    if Path(path).suffix != ".svg":
        raise InputError(f"picture is {str(path)!r}, must end in .svg")
    unknown = {cause for head in heads for cause in head.losses} - CAUSES.keys()
    if unknown:
        raise InputError(f"cause is {sorted(unknown)[0]!r}, must be one of {', '.join(CAUSES)}")
    try:
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError:
        raise InputError("a picture needs matplotlib, which `make setup` installs (extra plot)") from None
    figure = Figure(figsize=(12, 1.2 + 1.5 * len(heads)), layout="constrained")
    strips = figure.subplots(len(heads), 1, sharex=True, squeeze=False)[:, 0]
    for number, (axes, head) in enumerate(zip(strips, heads), 1):
        _strip(axes, head, max(head.total for head in heads))
        useful = 1 - sum(head.losses.values()) / head.total
        axes.set_title(f"head {number}: {head.total:,} cycles, {useful:.1%} of the slots useful", loc="left",
                       fontsize=9)
    strips[-1].set_xlabel("cycle of the head")
    strips[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    met = [cause for cause in CAUSES if any(cause in head.losses for head in heads)]
    alpha = ["ALPHA"] if any(use.what.startswith("ALPHA") for head in heads for use in head.uses) else []
    work = dict(WORK[name] for name in ("HASH", *alpha, "K", "Q", "SCORE", "OUT"))
    handles = [Patch(facecolor=colour, edgecolor=GREY, label=label) for label, colour in work.items()]
    handles += [Patch(facecolor=CAUSES[cause], label=f"lost: {cause}") for cause in met]
    figure.legend(handles=handles, ncols=6, loc="outside lower center", fontsize=8, frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    content = io.BytesIO()
    # No date and no random names: the same layer gives the same bytes. Text stays text.
    with matplotlib.rc_context({"svg.hashsalt": "hashlayer", "svg.fonttype": "none"}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    write_bytes(path, content.getvalue())


def _strip(axes, head: HeadCycles, longest: int) -> None:
    """The lanes of a head, top to bottom, beside one of ``longest`` cycles."""
    for row, (unit, _) in enumerate(LANES):
        uses = [use for use in head.uses if use.unit == unit and use.what not in ("LOAD", "PAUSE")]
        bars = joined(uses, _colour)
        for share in dict.fromkeys(bar[2] for bar in bars):
            some = [bar for bar in bars if bar[2] == share]
            axes.broken_barh([(start, end - start) for start, end, *_ in some], (row + 0.4 - 0.8 * share,
                             0.8 * share), facecolors=[colour for *_, colour in some], linewidth=0)
    axes.set_xlim(0, longest + 1)
    axes.set_ylim(len(LANES) - 0.5, -0.5)
    axes.set_yticks(range(len(LANES)), [label for _, label in LANES], fontsize=8)
    axes.tick_params(axis="both", length=0, labelsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
