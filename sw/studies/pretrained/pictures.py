"""The pictures of ``sw.studies.pretrained``: similarity against compression, sensitivities, training."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sw.io import plot

__all__ = ["draw_similarity", "draw_sensitivities", "draw_distillation"]

COLOURS = (plot.BLUE, plot.ORANGE, plot.GREEN, plot.RED, plot.PURPLE, plot.SKY, plot.DARK, "#9AA0A6")
MARKS = "osD^vPXp"


def draw_similarity(rows: Iterable, path: str | Path) -> None:
    """Cosine of every :class:`sw.studies.pretrained.similarity.Row` against RL, RA and cycles."""
    series: dict[str, list] = {}
    for row in rows:
        series.setdefault(f"{row.weights}, {row.directions}, {row.layers}", []).append(row)
    figure, axes = plot.pyplot().subplots(1, 3, figsize=(12, 4), sharey=True)
    for (name, label), ax in zip((("rl", "RL: rows of the linears left"),
                                  ("ra", "RA: query-key pairs left"),
                                  ("share", "cycles left, of exact attention")), axes):
        for i, (key, some) in enumerate(series.items()):
            some = sorted(some, key=lambda row: getattr(row, name))
            ax.plot([getattr(row, name) for row in some], [row.cosine for row in some],
                    marker=MARKS[i % len(MARKS)], color=COLOURS[i % len(COLOURS)], markersize=5,
                    linewidth=1.2, label=key)
        ax.set_xlabel(label)
        ax.set_xlim(0, 1.02)
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("cosine to the exact model")
    axes[0].set_title("Sentence embedding, test passages")
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, ncols=4, loc="upper center",
                  bbox_to_anchor=(0.5, 0.01))
    plot.save(figure, path)


def draw_sensitivities(alone: Mapping[str, Mapping[str, float]], path: str | Path) -> None:
    """Error of each layer alone, at each candidate: ``Search.alone``."""
    names = [n for n in next(iter(alone.values())) if n != "exact"]
    figure, ax = plot.pyplot().subplots(figsize=(7, 4))
    for i, name in enumerate(names):
        ax.semilogy(range(len(alone)), [max(row[name], 1e-6) for row in alone.values()],
                    marker=MARKS[i % len(MARKS)], color=COLOURS[i % len(COLOURS)], markersize=5,
                    linewidth=1.2, label=name)
    ax.set_xticks(range(len(alone)))
    ax.set_xlabel("attention layer, the only one that is compressed")
    ax.set_ylabel("1 - cosine, calibration passages")
    ax.set_title("What each layer costs alone")
    ax.grid(alpha=0.25, which="both")
    ax.legend(fontsize=8, ncols=2)
    plot.save(figure, path)


def draw_distillation(steps: Sequence, path: str | Path, window: int = 10) -> None:
    """Errors over the steps of a distillation, means over ``window`` of them."""
    figure, ax = plot.pyplot().subplots(figsize=(7, 4))
    for i, (name, label) in enumerate((("output", "1 - cosine of the embeddings"),
                                       ("hidden", "relative squared error of the hidden states"))):
        values = [getattr(step, name) for step in steps]
        recent = [values[max(0, j - window + 1):j + 1] for j in range(len(values))]
        mean = [sum(some) / len(some) for some in recent]
        ax.semilogy([step.step for step in steps], mean, color=COLOURS[i], linewidth=1.4,
                    label=label)
    ax.set_xlabel(f"step, means over {window}")
    ax.set_title("Self-distillation, training passages")
    ax.grid(alpha=0.25, which="both")
    ax.legend()
    plot.save(figure, path)
