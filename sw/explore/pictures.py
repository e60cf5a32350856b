"""The pictures of a report as SVG, by hand, so that the report is one file that needs nothing else."""

from html import escape

from sw.explore.axes import Axis, axis, short
from sw.explore.engines import FIGURES
from sw.explore.search import Found
from sw.explore.space import Space
from sw.io.plot import BLUE, DARK, GREEN, GREY, ORANGE, PURPLE, RED, SKY, YELLOW

__all__ = ["bars", "parallel", "scatter", "stacked"]

WIDTH = 900
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, "#8A6D1B", "#3B5B7A", "#9AA0A6")
MOST_DOTS = 4000
"""Grey dots of a scatter: more cannot be told apart, and make the file large."""


def _svg(height: float, parts: list[str], title: str) -> str:
    return (f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}" '
            f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>')


def _text(x: float, y: float, words: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = GREY) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _frame(across: Axis, up: Axis, x: str, y: str) -> list[str]:
    parts = []
    for value in across.ticks():
        place = across.place(value)
        parts += [_line(place, up.start, place, up.end, "#EEF0F2"),
                  _text(place, up.start + 16, short(value), "middle")]
    for value in up.ticks():
        place = up.place(value)
        parts += [_line(across.start, place, across.end, place, "#EEF0F2"),
                  _text(across.start - 6, place + 4, short(value), "end")]
    return [*parts, _line(across.start, up.start, across.end, up.start),
            _line(across.start, up.start, across.start, up.end),
            _text((across.start + across.end) / 2, up.start + 34, x, "middle"),
            _text(across.start, up.end - 10, y)]


def scatter(good: list[Found], best: list[Found], x: str, y: str, commands: list[str]) -> str:
    """Feasible points in grey, the front in blue; a point of it tells its command under the pointer."""
    height = 420
    across = axis([row[x] for _, row in good], 80, WIDTH - 20)
    up = axis([row[y] for _, row in good], height - 50, 40)
    parts = _frame(across, up, FIGURES[x], FIGURES[y])
    places = dict.fromkeys((round(across.place(row[x]), 1), round(up.place(row[y]), 1)) for _, row in good)
    step = max(1, len(places) // MOST_DOTS)
    parts += [f'<circle cx="{at}" cy="{to}" r="2" fill="{GREY}"/>' for at, to in list(places)[::step]]
    ordered = sorted(best, key=lambda found: found[1][x])
    if len(ordered) > 1:
        path = " ".join(f"{across.place(row[x]):.1f},{up.place(row[y]):.1f}" for _, row in ordered)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-opacity=".35"/>')
    for number, ((_, row), words) in enumerate(zip(best, commands), 1):
        at, to = across.place(row[x]), up.place(row[y])
        parts.append(f'<a href="#front-{number}"><circle cx="{at:.1f}" cy="{to:.1f}" r="4.5" fill="{BLUE}">'
                     f'<title>{number}: {escape(words)}\n{x} {row[x]:,.6g}, {y} {row[y]:,.6g}</title>'
                     "</circle></a>")
    return _svg(height, parts, f"{y} against {x}")


def parallel(good: list[Found], best: list[Found], space: Space) -> str:
    """A line a point over its dimensions and figures: the front in blue, some of the others in grey."""
    names = [name for name, values in space.dimensions.items() if len(values) > 1] + list(space.minimise)
    height, top, bottom = 360, 50, 320
    columns = {name: 60 + at * (WIDTH - 120) / max(1, len(names) - 1) for at, name in enumerate(names)}
    axes = {name: axis([row[name] for _, row in good], bottom, top) for name in space.minimise}

    def place(name: str, row: dict) -> float:
        if name in axes:
            return axes[name].place(row[name])
        values = space.dimensions[name]
        return bottom - (bottom - top) * (values.index(row[name]) + 0.5) / len(values)

    def path(row: dict, colour: str, more: str) -> str:
        points = " ".join(f"{columns[name]:.1f},{place(name, row):.1f}" for name in names)
        return f'<polyline points="{points}" fill="none" stroke="{colour}" {more}/>'

    step = max(1, len(good) // 300)
    parts = [path(row, GREY, 'stroke-opacity=".35"') for _, row in good[::step]]
    for number, (_, row) in enumerate(best, 1):
        parts.append(path(row, BLUE, 'stroke-opacity=".8" stroke-width="1.4" class="pick"').replace(
            "/>", f"><title>{number}</title></polyline>"))
    for at, (name, x) in enumerate(columns.items()):
        parts += [_line(x, top - 8, x, bottom + 8, DARK),
                  _text(x, top - 16 if at % 2 else top - 32, name, "middle", 'font-weight="bold"')]
        if name in axes:
            labels = [(axes[name].place(value), short(value)) for value in axes[name].ticks(4)]
        else:
            labels = [(place(name, {name: value}), str(value)) for value in space.dimensions[name]]
        parts += [_text(x + 4, y + 4, words, more='class="halo"') for y, words in labels]
    return _svg(height, parts, "parallel coordinates")


def bars(groups: dict[str, dict[str, float]]) -> str:
    """Shares by figure and dimension."""
    parts, y = [], 10.0
    for figure, shares in groups.items():
        parts.append(_text(10, y + 12, figure, more='font-weight="bold"'))
        y += 20
        for name, share in shares.items():
            parts += [_text(170, y + 11, name, "end"),
                      f'<rect x="180" y="{y:.0f}" width="{max(1.0, 600 * share):.1f}" height="13" '
                      f'fill="{BLUE}"/>',
                      _text(186 + 600 * share, y + 11, f"{share:.1%}")]
            y += 18
        y += 10
    return _svg(y, parts, "sensitivity")


def stacked(best: list[Found]) -> str:
    """What each design of the front does with the slots of its multipliers: useful, and lost by cause."""
    causes: dict[str, float] = {}
    for _, row in best:
        for cause, share in row["losses"].items():
            causes[cause] = causes.get(cause, 0.0) + share
    shown = sorted(causes, key=causes.get, reverse=True)[:len(COLOURS) - 1]
    most = max(max(0.001, sum(row["losses"].values())) for _, row in best)
    parts, x, y = [], 10.0, 18.0
    for cause, colour in zip((*shown, "other"), COLOURS):
        if x + 30 + 7 * len(cause) > WIDTH:
            x, y = 10.0, y + 18
        parts += [f'<rect x="{x}" y="{y - 10}" width="11" height="11" fill="{colour}"/>',
                  _text(x + 15, y, cause)]
        x += 40 + 7 * len(cause)
    y += 14
    for number, (_, row) in enumerate(best, 1):
        x = 60.0
        losses = {cause: row["losses"].get(cause, 0.0) for cause in shown}
        losses["other"] = sum(row["losses"].values()) - sum(losses.values())
        parts.append(_text(50, y + 11, str(number), "end"))
        for (cause, share), colour in zip(losses.items(), COLOURS):
            width = 720 * max(0.0, share) / most
            parts.append(f'<rect x="{x:.1f}" y="{y:.0f}" width="{width:.1f}" height="13" fill="{colour}">'
                         f"<title>{escape(cause)} {share:.2%}</title></rect>")
            x += width
        parts.append(_text(x + 6, y + 11, f"{sum(row['losses'].values()):.1%} lost"))
        y += 18
    return _svg(y + 10, parts, "losses by cause")
