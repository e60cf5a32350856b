"""The pictures of the demo: the schedule as executed, attention and its error, compression."""

import numpy as np

from sw.io import plot
from sw.io.plot import BLUE, DARK, GREEN, GREY, ORANGE, PURPLE, RED, SKY

__all__ = ["UNITS", "draw_schedule", "draw_attention", "draw_compression"]

# Rows of the schedule picture, top to bottom: unit, its label, and what it may be busy with.
UNITS = (
    ("SA", "systolic array", {"HASH": ("hash", SKY), "K": ("K", GREEN), "V": ("V", "#5CC4A3"),
                              "Q": ("Q", BLUE), "SCORE": ("score", ORANGE), "OUT": ("output", RED),
                              "LOAD": ("load values", GREY), "PAUSE": ("pause", "#E4E7EA")}),
    ("CIM", "cluster index (CIM)", {"": ("", BLUE)}),
    ("CACC", "centroid sums (CACC)", {"": ("", PURPLE)}),
    ("CAVG", "centroid means (CAVG)", {"": ("", PURPLE)}),
    ("PAG", "probabilities (PAG)", {"": ("", ORANGE)}),
    ("drain", "normalise, drain", {"": ("", RED)}),
)


def _kind(use):
    """``HASH 1`` is a HASH."""
    return use.what.partition(" ")[0]


def _gantt(axes, uses, begin, end, close=True):
    """What every unit does between two cycles; a row a unit."""
    for row, (unit, _, kinds) in enumerate(UNITS):
        for what, (_, colour) in kinds.items():
            bars = [(max(use.start, begin), min(use.end, end) - max(use.start, begin))
                    for use in uses
                    if use.unit == unit and (_kind(use) == what or len(kinds) == 1)
                    and use.end > begin and use.start < end]
            if bars:
                axes.broken_barh(bars, (row - 0.36, 0.72), facecolors=colour,
                                 edgecolor="white", linewidth=0.8 if close else 0)
        if close:
            for use in uses:
                middle = (max(use.start, begin) + min(use.end, end)) / 2
                wide = min(use.end, end) - max(use.start, begin) > 0.04 * (end - begin)
                label = kinds.get(_kind(use), (use.what,))[0] + use.what[len(_kind(use)):]
                if use.unit == unit and wide and label:
                    axes.text(middle, row, label, ha="center", va="center", fontsize=8,
                              color="white")
    axes.set_xlim(begin, end)
    axes.set_ylim(len(UNITS) - 0.5, -0.5)
    axes.set_yticks(range(len(UNITS)), [label for _, label, _ in UNITS])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#E4E7EA", linewidth=0.6)
    axes.set_axisbelow(True)


def draw_schedule(path, uses, cycles, title) -> None:
    """The whole job, then its beginning and a few batches in the middle, close up.

    ``uses`` have unit, what, start and end, as the driver's activity and the cycle model's uses.
    """
    plt = plot.pyplot()
    figure, (whole, start, middle) = plt.subplots(3, 1, figsize=(12, 8.6), layout="constrained")
    keys, scores = ([use for use in uses if use.unit == "SA" and use.what == what]
                    for what in ("K", "SCORE"))
    _gantt(whole, uses, 0, cycles, close=False)
    whole.set_title(title)
    _gantt(start, uses, 0, keys[min(3, len(keys) - 1)].end)
    start.set_title("Beginning: three hashes, clusters and centroids behind them, the first keys")
    at = len(scores) // 2
    _gantt(middle, uses, scores[max(0, at - 1)].start, scores[min(len(scores) - 1, at + 2)].end)
    middle.set_title("Middle: a batch of queries is scored while the PAG aggregates the last one")
    for axes in (whole, start, middle):
        axes.set_xlabel("cycle")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for _, colour in UNITS[0][2].values()]
    figure.legend(handles, [label for label, _ in UNITS[0][2].values()], ncols=len(handles),
                  loc="outside lower center", title="systolic array", handlelength=1.2)
    plot.save(figure, path)


def draw_attention(path, exact, compressed, errors, title) -> None:
    """Attention matrices (m, n) in double precision beside each other; error of every token.

    ``errors`` maps a label to the relative error of each token's output.
    """
    plt = plot.pyplot()
    figure = plt.figure(figsize=(12, 8.6), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.35, 1))
    left, right = top.subplots(1, 2)
    floor = 1e-5
    for axes, matrix, name in ((left, exact, "Exact attention"),
                               (right, compressed, f"Compressed attention, {title}")):
        image = axes.imshow(np.log10(np.maximum(matrix, floor)), cmap="magma", vmin=-5, vmax=-1,
                            interpolation="nearest", aspect="equal")
        axes.set_title(name)
        axes.set_xlabel("key token")
        axes.set_ylabel("query token")
    bar = top.colorbar(image, ax=(left, right), shrink=0.9, pad=0.01)
    bar.set_label("probability")
    bar.set_ticks(range(-5, 0), labels=["≤ $10^{-5}$", "$10^{-4}$", "$10^{-3}$", "$10^{-2}$",
                                        "≥ $10^{-1}$"])
    bar.outline.set_visible(False)
    spread, share = bottom.subplots(1, 2, width_ratios=(1.6, 1))
    for (name, error), colour in zip(errors.items(), (SKY, BLUE, DARK, GREEN, RED)):
        spread.plot(np.maximum(error, 1e-4), ".", markersize=3, color=colour, label=name)
        share.plot(np.sort(np.maximum(error, 1e-4)), np.linspace(0, 100, len(error)), color=colour,
                   linewidth=2, label=name)
    spread.set_yscale("log")
    spread.set_title("Error of each token's output against exact attention")
    spread.set_xlabel("token")
    spread.set_ylabel("relative error")
    share.set_xscale("log")
    share.set_title("Tokens within an error")
    share.set_xlabel("relative error")
    share.set_ylabel("tokens, %")
    bottom.legend(*share.get_legend_handles_labels(), loc="outside lower center",
                  ncols=len(errors))
    for axes in (spread, share):
        axes.grid(color="#E4E7EA", linewidth=0.6)
        axes.set_axisbelow(True)
    plot.save(figure, path)


def draw_compression(path, rows, title) -> None:
    """What each run keeps and costs; ``rows`` are dicts with name, RL, RA, cycles, error."""
    plt = plot.pyplot()
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.9), layout="constrained")
    names = [row["name"].replace(", ", ",\n") for row in rows]
    place = np.arange(len(rows))
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)

    kept = axes[0]
    for offset, key, colour, label in ((-0.2, "RL", BLUE, "RL, rows of the linears"),
                                       (0.2, "RA", ORANGE, "RA, query-key pairs")):
        bars = kept.bar(place + offset, [100 * row[key] for row in rows], 0.38, color=colour,
                        label=label)
        kept.bar_label(bars, fmt="%.0f", padding=2, fontsize=8)
    kept.set_title("Work left, %")
    kept.set_ylim(0, 135)
    kept.set_yticks(range(0, 101, 25))
    kept.legend(loc="upper left", ncols=1, fontsize=8)

    bars = axes[1].bar(place, [row["cycles"] for row in rows], 0.6, color=GREEN)
    axes[1].bar_label(bars, [f"{row['cycles']:,}" for row in rows], padding=2, fontsize=8)
    axes[1].set_title("Cycles")
    axes[1].yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    bars = axes[2].bar(place, [100 * (row["error"] or 0.0) for row in rows], 0.6, color=RED)
    axes[2].bar_label(bars, fmt="%.1f", padding=2, fontsize=8)
    axes[2].set_title("Error against exact attention, %")
    for chart in axes:
        chart.set_xticks(place, names)
        chart.tick_params(axis="x", length=0)
        chart.grid(axis="y", color="#E4E7EA", linewidth=0.6)
        chart.set_axisbelow(True)
    plot.save(figure, path)
