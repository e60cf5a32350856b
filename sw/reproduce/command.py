"""The command ``hashlayer reproduce``: figures of both papers beside what is computed here."""

import os
import sys
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from model.command import Parser, refusing
from sw.io.errors import InputError
from sw.io.writing import make_folder, require_writable, write_json, write_text
from sw.reproduce.figure import Figure
from sw.reproduce.figures import FIGURES, MISSING
from sw.reproduce.page import page, plain, text

__all__ = ["draw", "main"]


def draw(figure: Figure, folder: Path) -> None:
    """The picture of a figure as PNG; raises InputError without matplotlib."""
    try:
        from sw.io.plot import pyplot, save
        plt = pyplot()
    except ImportError:
        raise InputError("pictures need matplotlib, which `make setup` installs (extra plot)") from None
    drawn, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    figure.draw(axes)
    axes.set_title(figure.title)
    save(drawn, folder / f"{figure.name}.png")


@refusing("sw.reproduce", InputError)
def main(argv=None) -> int:
    """Compute, print and write."""
    parser = Parser(prog="sw.reproduce", description="Figures of both papers beside what is computed here.")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=f"which: {', '.join(FIGURES)} (default: all)")
    parser.add_argument("--pictures", metavar="FOLDER", help="draw them as PNG")
    parser.add_argument("--page", metavar="FILE", help="all of it as Markdown, with the pictures")
    parser.add_argument("--report", "--json", metavar="FILE", help="the numbers as JSON")
    args = parser.parse_args(argv)
    for name in args.names:
        if name not in FIGURES:
            raise InputError(f"name is {name!r}, must be one of {', '.join(FIGURES)}")
    if args.page and not args.pictures:
        raise InputError("--page needs --pictures FOLDER, where its pictures are")
    require_writable(args.page, args.report)
    names = args.names or list(FIGURES)
    found = [FIGURES[name]() for name in tqdm(names, unit=" figures", leave=False,
                                              disable=not sys.stderr.isatty())]
    print("\n\n".join(text(figure) for figure in found))
    if not args.names:
        print("\nnot reproduced here\n" + "\n".join(f"  {each.title}: {plain(each.why)}" for each in MISSING))
    if args.pictures:
        folder = make_folder(args.pictures)
        for figure in found:
            if figure.draw:
                draw(figure, folder)
    if args.page:
        there = os.path.relpath(args.pictures, Path(args.page).absolute().parent)
        write_text(args.page, page(found, MISSING, there))
    if args.report:
        write_json(args.report, [{"name": figure.name, "title": figure.title, "holds": figure.holds,
                                  "differs": figure.differs, "command": figure.command,
                                  "entries": [asdict(entry) | {"ratio": entry.ratio}
                                              for entry in figure.entries]}
                                 for figure in found])
    return 0
