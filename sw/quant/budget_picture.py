"""The picture of an error budget: a panel a layer, a bar a stage."""

import numpy as np

from sw import pictures

__all__ = ["draw"]


def draw(budgets, path) -> None:
    """Bars: each stage alone. Dots: what it adds. Line: the whole."""
    pyplot = pictures._pyplot()
    columns = min(len(budgets), 2)
    rows = -(-len(budgets) // columns)
    most = max(len(budget.stages) for budget in budgets)
    figure, panels = pyplot.subplots(
        rows, columns, figsize=(6 * columns, (0.28 * most + 1.4) * rows), layout="constrained",
        squeeze=False)
    for axes in panels.flat[len(budgets):]:
        axes.remove()
    for axes, budget in zip(panels.flat, budgets):
        stages = sorted(budget.stages, key=lambda stage: stage.alone)
        y = np.arange(len(stages))
        axes.barh(y, [100 * stage.alone for stage in stages], height=0.62, color=pictures.BLUE,
                  label="alone, all others exact")
        axes.plot([100 * stage.adds for stage in stages], y, "o", color=pictures.ORANGE,
                  markersize=5, label="added to the others")
        axes.axvline(100 * budget.total, color=pictures.DARK, linewidth=1, linestyle="--",
                     label="all stages")
        axes.set_yticks(y, [stage.name for stage in stages])
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("relative error of the output, %")
        axes.set_title(budget.layer)
        axes.grid(axis="x", color="#E4E7EA", linewidth=0.6)
        axes.set_axisbelow(True)
    panels.flat[0].legend(loc="center right")
    pictures._save(figure, path)
