"""The report of a search: one HTML file without scripts or anything from elsewhere."""

from html import escape

from sw.explore.engines import FIGURES
from sw.explore.evaluation import command
from sw.explore.front import failures, feasible, sensitivity
from sw.explore.pictures import bars, parallel, scatter, stacked
from sw.explore.search import Found
from sw.explore.space import Space
from sw.io.writing import write_text

__all__ = ["MOST_OF_FRONT", "figure", "write_report"]

MOST_OF_FRONT = 60
"""Designs of the front that the report lists, evenly from it; the Parquet file has all."""

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em}
body{color:#30363C}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse;font-size:.85em}
.wide{overflow-x:auto}th,td{padding:.25em .7em;text-align:right;border-bottom:1px solid #E3E6E8}
th,td{white-space:nowrap}
th{position:sticky;top:0;background:#fff}td.l,th.l{text-align:left}
code{font-size:.95em;background:#F4F6F7;padding:.1em .3em}
svg{width:100%;height:auto;font:11px system-ui,sans-serif;fill:#30363C}.note{color:#667;font-size:.9em}
.halo{paint-order:stroke;stroke:#fff;stroke-width:3px}.pick:hover{stroke:#D55E00;stroke-width:3}
tr:target{background:#FFF3D6}"""


def figure(name: str, value) -> str:
    """A figure for a person."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if name == "cycles" else f"{value:.4g}"


def _table(heads: list[str], rows: list[list[str]], names: list[str] | None = None) -> str:
    left = (0, len(heads) - 1)
    cells = "".join(f'<th class="l">{escape(h)}</th>' if at in left else f"<th>{escape(h)}</th>"
                    for at, h in enumerate(heads))
    lines = [f"<tr>{cells}</tr>"]
    for number, row in enumerate(rows):
        mark = f' id="{names[number]}"' if names else ""
        cells = "".join(f'<td class="l">{cell}</td>' if at in left else f"<td>{cell}</td>"
                        for at, cell in enumerate(row))
        lines.append(f"<tr{mark}>{cells}</tr>")
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _front(best: list[Found], commands: list[str]) -> str:
    known = [name for name in FIGURES if any(row.get(name) is not None for _, row in best)]
    rows = [[str(number), *(figure(name, row.get(name)) for name in known), f"<code>{escape(words)}</code>"]
            for number, ((_, row), words) in enumerate(zip(best, commands), 1)]
    unknown = [f"{name}: {next((row[why] for _, row in best if row.get(why)), 'no clock_mhz is given')}"
               for name in FIGURES if name not in known
               for why in (f"{name.partition('_')[0]}_why",)]
    notes = "".join(f'<p class="note">not known: {escape(line)}</p>' for line in unknown)
    beside = "; ".join(f"{name}: {FIGURES[name]}" for name in known)
    return (_table(["", *known, "the design"], rows, [f"front-{at}" for at in range(1, len(rows) + 1)])
            + f'<p class="note">{escape(beside)}</p>' + notes)


def write_report(path, found: list[Found], space: Space, best: list[Found], about: dict[str, str],
                 proofs: list[dict]) -> None:
    """Write it. ``about`` is what was run, in words; ``proofs`` what was built of the front."""
    good = feasible(found, space)
    shown = best if len(best) <= MOST_OF_FRONT else [
        best[round(at * (len(best) - 1) / (MOST_OF_FRONT - 1))] for at in range(MOST_OF_FRONT)]
    commands = [command(row, point) for point, row in shown]
    parts = [f"<p>{'<br>'.join(f'{escape(name)}: {escape(words)}' for name, words in about.items())}</p>"]
    if good:
        pairs = [(a, b) for at, a in enumerate(space.minimise) for b in space.minimise[at + 1:]]
        parts.append("<h2>The front</h2>")
        parts += [scatter(good, shown, x, y, commands) for x, y in pairs]
        parts.append(_front(shown, commands))
        if len(best) > len(shown):
            parts.append(f'<p class="note">{len(shown)} of {len(best)} designs of the front.</p>')
    else:
        parts.append("<h2>No design is feasible</h2>")
    if proofs:
        names = list(dict.fromkeys(name for proof in proofs for name in proof))
        parts.append("<h2>Built</h2>" + _table(names, [[escape(str(proof.get(name, "–"))) for name in names]
                                                      for proof in proofs]))
    if good:
        parts += ["<h2>Dimensions and figures</h2>", parallel(good, shown, space)]
        groups = {name: shares for name in space.minimise
                  if (shares := sensitivity(found, space, name))}
        if groups:
            parts += ['<h2>Sensitivity</h2><p class="note">Share of the variance of a figure, in logarithms, '
                      "that the value of one dimension explains, over all points that did not fail.</p>",
                      bars(groups)]
        parts += ["<h2>What the front loses, by cause</h2><p class=\"note\">Share of the slots of the "
                  "multipliers.</p>", stacked(shown)]
    counts = failures(found, space)
    if counts:
        parts.append("<h2>Not in question</h2>" + _table(
            ["points", "reason"], [[f"{count:,}", escape(reason)] for reason, count in counts[:40]]))
        if len(counts) > 40:
            parts.append(f'<p class="note">and {len(counts) - 40} more reasons</p>')
    write_text(path, '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>hashlayer explore'
                     f"</title><style>{STYLE}</style></head><body><h1>hashlayer explore</h1>"
                     + "\n".join(parts) + "</body></html>\n")
