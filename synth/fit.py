"""``hashlayer area``: the model of area held to mapped shapes, and with ``--fit`` fitted anew.

    hashlayer area                  # the ten shapes that were held out, as mapped and as modelled
    hashlayer area --fit            # 15 min: maps all shapes, fits, writes model/data/area.json

Shapes are mapped as ``hashlayer synth`` does, from the same cache, so only blocks that changed are mapped
again. The figures are not below zero: an area does not shrink where there is more of something.
"""

import re
import sys
from datetime import date
from pathlib import Path

import numpy as np

from gen.emit import EmitError
from gen.engines import ENGINES
from gen.progress import progress
from model.accelerator import NotMeasured
from model.area import Terms, fit_data, gates
from model.command import Parser, refusing
from model.cta import area as cta_area
from model.errors import ConfigError
from model.files import write_json
from model.lookup import area as lookup_area
from model.technology import NAND2_130
from synth.area import area
from synth.command import mapped_design
from synth.shapes import FITTED, HELD_OUT, Shape
from synth.technology import technology

__all__ = ["MODELS", "errors", "fitted", "main", "measured", "nonnegative"]

MODELS = {"cta": cta_area, "lookup": lookup_area}
"""By engine the module that says what its blocks are counted by."""

DATA = Path(__file__).resolve().parents[1] / "model" / "data" / "area.json"


def measured(shape: Shape, show=lambda _: None) -> dict[str, float]:
    """Gates of each kind of block of a shape, by mapping; numbers at the end of a module's name are those
    of its shape and left out."""
    engine, chosen = shape[0], technology("sky130")
    design = mapped_design(engine, _configuration(shape), chosen, show)
    gates_of: dict[str, float] = {}
    for block in area(design.mapped, design.names, design.macros, chosen).blocks:
        name = re.sub(r"(_\d+)+$", "", block.name).removeprefix(f"{engine}_")
        gates_of[name] = gates_of.get(name, 0.0) + block.total_um2 / NAND2_130
    return gates_of


def _configuration(shape: Shape):
    return ENGINES[shape[0]].config(**shape[1])


def _grouped(found: dict[str, float], terms: Terms) -> dict[str, float]:
    """Gates by the blocks of the model: what has none of its own is "rest"."""
    groups = dict.fromkeys(terms, 0.0)
    for name, number in found.items():
        groups[name if name in groups else "rest"] += number
    return groups


def nonnegative(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The solution of least squares with no coefficient below 0: the lowest is left out until none is."""
    found, kept = np.zeros(rows.shape[1]), list(range(rows.shape[1]))
    while kept:
        part = np.linalg.lstsq(rows[:, kept], wanted, rcond=None)[0]
        if part.min() >= 0:
            found[kept] = part
            break
        del kept[int(part.argmin())]
    return found


def fitted(engine: str, shapes: list[tuple[Terms, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Gates a count of each block, from the counts and the gates of shapes. An error counts relative to
    the whole logic of its shape, so that small engines are as near as large ones."""
    result = {}
    for block in shapes[0][0]:
        names = list(shapes[0][0][block])
        weight = np.array([1 / sum(found.values()) for _, found in shapes])
        rows = np.array([[terms[block][name] for name in names] for terms, _ in shapes], float)
        wanted = np.array([_grouped(found, terms)[block] for terms, found in shapes])
        size = np.where(rows.any(0), np.abs(rows).max(0), 1.0)
        values = nonnegative(rows / size * weight[:, None], wanted * weight) / size
        result[block] = {name: float(f"{value:.6g}") for name, value in zip(names, values)}
    return result


def errors(shapes, show=lambda _: None) -> list[tuple[str, float, float]]:
    """Of each shape its words, the gates of its logic as mapped, and as modelled."""
    rows = []
    for at, shape in enumerate(shapes, 1):
        words = " ".join((shape[0], *(f"--{name} {value}" for name, value in shape[1].items())))
        found = measured(shape, lambda what: show(f"shape {at} of {len(shapes)}, {what}"))
        model = gates(shape[0], MODELS[shape[0]].terms(_configuration(shape)))
        rows.append((words, sum(found.values()), sum(model.values())))
    return rows


def _fit(show) -> None:
    data = {}
    for engine, model in MODELS.items():
        mine, shapes = [shape for shape in FITTED if shape[0] == engine], []
        for at, shape in enumerate(mine, 1):
            found = measured(shape, lambda what: show(f"{engine} {at} of {len(mine)}, {what}"))
            shapes.append((model.terms(_configuration(shape)), found))
        data[engine] = {"shapes": len(mine), "gates": fitted(engine, shapes)}
    write_json(DATA, {"command": "hashlayer area --fit", "date": date.today().isoformat(), **data})
    fit_data.cache_clear()


@refusing("area", ConfigError, EmitError, OSError, NotMeasured)
def main(argv=None) -> int:
    """Compare, or fit and compare; gives the exit status."""
    parser = Parser(prog="area", description="The model of area, held to mapped shapes.")
    parser.add_argument("--fit", action="store_true", help="fit it anew first, in a checkout")
    parser.add_argument("--json", metavar="FILE", help="the comparison as JSON")
    args = parser.parse_args(argv)
    with progress("area") as show:
        if args.fit:
            _fit(show)
        shapes = [shape for shape in HELD_OUT if shape[0] in fit_data()]
        rows = errors(shapes, show)
    off = [model / found - 1 for _, found, model in rows]
    width = max(len(words) for words, *_ in rows)
    print(f"{'held out'.ljust(width)}  mapped, gates  modelled  error")
    for (words, found, model), error in zip(rows, off):
        print(f"{words.ljust(width)}  {found:13,.0f}  {model:8,.0f}  {error:+.1%}")
    print(f"mean {np.mean(np.abs(off)):.1%}, worst {np.max(np.abs(off)):.1%}; "
          "fitted to " + ", ".join(f"{fit_data()[name]['shapes']} shapes of {name}" if name in fit_data() else
                                   f"none of {name}" for name in MODELS))
    if args.json:
        write_json(args.json, [{"shape": words, "mapped_gates": found, "modelled_gates": model}
                               for words, found, model in rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
