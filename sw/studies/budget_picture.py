"""The picture of an error budget: a panel a layer, a bar a stage."""

import numpy as np

from sw.io import plot

__all__ = ["draw"]


def draw(budgets, path) -> None:
    """Attention in one column, feed-forward layers in the other. Bars: each stage alone; dots:
    what it adds; line: the whole."""
    plt = plot.pyplot()
    columns = [[one for one in budgets if one.part == part] for part in ("attention", "ffn")]
    columns = [column for column in columns if column]
    rows = max(map(len, columns))
    most = max(len(budget.stages) for budget in budgets)
    figure, panels = plt.subplots(
        rows, len(columns), figsize=(6 * len(columns), (0.24 * most + 0.9) * rows + 0.4),
        layout="constrained", squeeze=False, sharex="col")
    for at, column in enumerate(columns):
        for axes, budget in zip(panels[:, at], column):
            _panel(axes, budget)
        for axes in panels[len(column):, at]:
            axes.remove()
        panels[len(column) - 1, at].set_xlabel("relative error of the output, %")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    plot.save(figure, path)


def _panel(axes, budget):
    stages = sorted(budget.stages, key=lambda stage: stage.alone)
    y = np.arange(len(stages))
    axes.barh(y, [100 * stage.alone for stage in stages], height=0.62, color=plot.BLUE,
              label="stage alone, all others exact")
    axes.plot([100 * stage.adds for stage in stages], y, "o", color=plot.ORANGE,
              markersize=5, label="what it adds to the others")
    axes.axvline(100 * budget.total, color=plot.DARK, linewidth=1, linestyle="--",
                 label="all stages")
    axes.set_yticks(y, [stage.name for stage in stages])
    axes.tick_params(axis="y", length=0)
    axes.set_title(budget.layer)
    axes.grid(axis="x", color="#E4E7EA", linewidth=0.6)
    axes.set_axisbelow(True)
