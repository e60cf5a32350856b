"""The picture of the demo's encoder: cycles and errors layer by layer, and the loss at each level."""

import numpy as np

from sw.io import plot

__all__ = ["draw"]


def draw(data, path) -> None:
    """``data`` as :func:`sw.demo.encoder.show` reports it."""
    plt = plot.pyplot()
    figure, (cycles, errors, losses) = plt.subplots(
        1, 3, figsize=(12, 3.9), layout="constrained", width_ratios=(1, 1, 1.25))
    parts = {part: [row for row in data["layers"] if row["part"] == part]
             for part in ("attention", "ffn", "whole")}
    colours = {"attention": plot.BLUE, "ffn": plot.ORANGE, "whole": plot.DARK}
    labels = {"attention": "attention, all heads", "ffn": "LookupFFN", "whole": "whole layer"}
    for part, offset in (("attention", -0.2), ("ffn", 0.2)):
        at = np.arange(len(parts[part])) + offset
        bars = cycles.bar(at, [row["cycles"] for row in parts[part]], 0.38, color=colours[part],
                          label=labels[part])
        cycles.bar_label(bars, [f"{row['cycles'] / 1000:.0f}k" for row in parts[part]], padding=2,
                         fontsize=8)
    cycles.set_title("Cycles of a passage")
    cycles.margins(y=0.3)
    cycles.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    for part, offset in (("attention", -0.27), ("ffn", 0), ("whole", 0.27)):
        at = np.arange(len(parts[part])) + offset
        bars = errors.bar(at, [100 * row["error against float"] for row in parts[part]], 0.25,
                          color=colours[part], label=labels[part])
        errors.bar_label(bars, fmt="%.1f", padding=2, fontsize=8)
    errors.set_title("Error against the float layer, %")
    errors.margins(y=0.4)
    for axes in (cycles, errors):
        count = max(len(rows) for rows in parts.values())
        axes.set_xticks(range(count), [f"layer {at}" for at in range(count)])
        axes.legend(loc="upper left", fontsize=8)
    (base, exact), *others = data["loss"].items()
    more, spread = np.array([score["over exact"] for _, score in others]).T
    y = np.arange(len(others))[::-1]
    losses.errorbar(more, y, xerr=spread, fmt="o", color=plot.GREEN, markersize=7, capsize=4)
    losses.axvline(0, color=plot.DARK, linewidth=1)
    for at, (_, score) in zip(y, others):
        losses.text(score["over exact"][0], at + 0.15, f"{score['nats']:.4f}", ha="center",
                    fontsize=8)
    losses.set_yticks(y, [level.replace(", ", ",\n") for level, _ in others])
    losses.set_ylim(-0.5, len(others) - 0.4)
    losses.set_title(f"Loss over {base}: {exact['nats']:.4f}")
    losses.set_xlabel("nats a masked byte, and standard error over passages")
    losses.margins(x=0.15)
    for axes, axis in ((cycles, "y"), (errors, "y"), (losses, "x")):
        axes.grid(axis=axis, color="#E4E7EA", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(axis="both", length=0)
    plot.save(figure, path)
