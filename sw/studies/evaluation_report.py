"""Tables and pictures of sw.studies.evaluate."""

from pathlib import Path

from sw.io import plot
from sw.studies.compare import Row

__all__ = ["tables", "draw"]

_STAGES = ("before", "after", "quantised")


def _variants(rows, kind):
    """Rows of one kind as {(name, directions): {stage: row}}, in the order of measuring."""
    found = {}
    for row in rows:
        if row.kind == kind and not row.name.startswith("RL "):
            found.setdefault((row.name, row.directions), {})[row.stage] = row
    return found


def _cell(row: Row | None) -> str:
    return f"{row.loss:.3f} ({row.over:+.3f} ± {row.error:.3f}), {row.accuracy:.1%}" if row else "–"


def _table(head, lines):
    return "\n".join("| " + " | ".join(line) + " |"
                     for line in [head, ["---"] * len(head), *lines])


def tables(rows: list[Row], meta: dict) -> str:
    """Markdown: a sentence on the data, a table for attention, a table for the networks."""
    plan = meta["plan"]
    text = [f"Text: {meta['text']}; {meta['predictions']:,} predictions in {plan['sequences']} "
            f"held-out sequences, fine-tuning of {plan['steps']} steps of {plan['batch']} "
            f"sequences at a rate of {plan['lr']:g}. Loss in nats a token, then how much more than "
            "the model's own before fine-tuning (and the standard error of that difference over "
            "the sequences), then accuracy."]
    lines = [[name, directions or "–", f"{last.rl:.2f}", f"{last.ra:.2f}",
              *(_cell(by.get(stage)) for stage in _STAGES)]
             for (name, directions), by in _variants(rows, "attention").items()
             for last in [list(by.values())[-1]]]
    text.append(_table(["attention", "directions", "RL", "RA", *_STAGES], lines))
    curve = [row for row in rows if row.name.startswith("RL ")]
    if curve:
        text.append(_table(["RL", "RA", "directions", "before"], [
            [f"{row.rl:.2f}", f"{row.ra:.2f}", row.directions, _cell(row)] for row in curve]))
    ffn = _variants(rows, "ffn")
    if ffn:
        own = _variants(rows, "attention")[("exact", "")]
        flop = own["before"].flop
        lines = [[meta["ffn"], f"{flop:,}", "1.00", *(_cell(own.get(s)) for s in _STAGES)]]
        lines += [[name, f"{by['before'].flop:,}", f"{by['before'].flop / flop:.2f}",
                   *(_cell(by.get(stage)) for stage in _STAGES)]
                  for (name, _), by in ffn.items()]
        text.append(_table(["feed-forward", "FLOP a token and layer", "of it", *_STAGES], lines))
    if meta.get("skipped"):
        text.append("Not reached:\n\n" + "\n".join(f"- {line}" for line in meta["skipped"]))
    return "\n\n".join(text) + "\n"


_MARKS = {"before": "o", "after": "^", "quantised": "x"}
_COLOURS = {"random": plot.ORANGE, "projection": plot.BLUE}


def draw(rows: list[Row], folder, ffn: str) -> None:
    """attention.png: loss over RL and RA. lookup.png: loss over FLOP. Needs matplotlib."""
    plt = plot.pyplot()
    exact = {row.stage: row for row in rows if row.name == "exact"}
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axis, key, title in zip(axes, ("rl", "ra"), (
            "RL: rows the linears still see", "RA: query-key pairs still computed")):
        for kind, colour in _COLOURS.items():
            own = [row for row in rows if row.kind == "attention" and row.directions == kind]
            curve = sorted((getattr(row, key), row.loss) for row in own if row.stage == "before")
            if curve:
                axis.plot(*zip(*curve), color=colour, lw=1, label=f"{kind}, before fine-tuning")
            for stage in ("after", "quantised"):
                points = [(getattr(row, key), row.loss) for row in own if row.stage == stage]
                if points:
                    axis.scatter(*zip(*points), color=colour, marker=_MARKS[stage],
                                 label=f"{kind}, {stage}", zorder=3)
        _baselines(axis, exact, "exact attention")
        axis.set_xlabel(title)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("held-out loss, nats a token")
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    plot.save(figure, Path(folder) / "attention.png")
    sizes = [row for row in rows if row.kind == "ffn"]
    if not sizes:
        return
    figure, axis = plt.subplots(figsize=(6, 4))
    for stage, mark in _MARKS.items():
        points = sorted((row.flop, row.loss) for row in sizes if row.stage == stage)
        if points:
            axis.plot(*zip(*points), mark, ls="-", lw=0.8, label=f"LookupFFN, {stage}")
    _baselines(axis, exact, f"{ffn} ({exact['before'].flop:,} FLOP)")
    axis.set_xscale("log")
    axis.set_xlabel("FLOP a token and layer")
    axis.set_ylabel("held-out loss, nats a token")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.tight_layout()
    plot.save(figure, Path(folder) / "lookup.png")


def _baselines(axis, exact, name):
    for stage, style in (("before", "--"), ("after", ":")):
        if stage in exact:
            axis.axhline(exact[stage].loss, color="black", lw=1, ls=style, label=f"{name}, {stage}")
