"""The command ``hashlayer explore SPACE.toml``: search of a space of designs.

Every point is a row: cycles, area, energy and error by the models, or the reason why it cannot be. Rows are
kept on disk, so a run that was ended goes on where it was.
"""

import sys
import time
from pathlib import Path

from tqdm import tqdm

from model.command import Parser, refusing
from model.errors import ConfigError
from sw.explore.cluster import workers
from sw.explore.evaluation import command
from sw.explore.front import failures, feasible, front
from sw.explore.parquet import write_parquet
from sw.explore.proof import spread, synthesised, verified
from sw.explore.report import figure, write_report
from sw.explore.search import METHODS, evaluated, grid, sampled, searched
from sw.explore.space import read_space
from sw.explore.store import Store, default_folder
from sw.io.errors import InputError
from sw.io.writing import require_writable

__all__ = ["main"]

LISTED = 12
"""Designs of the front on the terminal."""


def _parser() -> Parser:
    parser = Parser(prog="sw.explore", description="Search of the design space of an engine.")
    parser.add_argument("space", metavar="SPACE.toml", help="dimensions, workloads, figures, constraints")
    parser.add_argument("--method", choices=METHODS, default="grid",
                        help="all points, random ones, or a search of Optuna's (default %(default)s)")
    parser.add_argument("--points", type=int, metavar="N", default=1000,
                        help="random points, or trials of a search (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0,
                        help="of random points and searches (default %(default)s)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, metavar="N",
                       help="processes of this machine; 0: none but this one (default: one a core)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, tcp://host:port, instead")
    parser.add_argument("--results", metavar="FILE", help="all rows as Parquet (default: SPACE.parquet)")
    parser.add_argument("--report", metavar="FILE", help="the report (default: SPACE.html)")
    parser.add_argument("--cache", metavar="FOLDER", help="where rows are kept from run to run "
                        "(default: that of all builds)")
    parser.add_argument("--verify", type=int, metavar="K", default=0,
                        help="build K designs of the front; a job on the Verilog of each meets the models")
    parser.add_argument("--synthesise", type=int, metavar="K", default=0,
                        help="synthesise K designs of the front; their area is then that one")
    return parser


def _searched(args, space, store) -> tuple[list, str]:
    """All that was found, and where it was evaluated."""
    found = []
    with workers(args.workers, args.scheduler) as (evaluator, where), \
            tqdm(unit=" points", disable=not sys.stderr.isatty(), leave=False) as bar:
        if args.method in ("grid", "random"):
            points = grid(space) if args.method == "grid" else sampled(space, args.points, args.seed)
            bar.reset(total=len(points))
            for each in evaluated(points, store, evaluator):
                found.append(each)
                bar.update()
            # In the order of the space, whichever worker was first.
            order = {store.key(point): at for at, point in enumerate(points)}
            found.sort(key=lambda each: order[store.key(each[0])])
        else:
            bar.reset(total=args.points)
            found += searched(space, args.points, args.seed, args.method, store, evaluator, bar.update)
    return found, where


def _built(args, best: list) -> list[dict]:
    """Proofs of some designs of the front, whose rows take the area of their synthesis."""
    proofs = {}
    tasks = [(verified, number) for number in spread(best, args.verify) if args.verify]
    tasks += [(synthesised, number) for number in spread(best, args.synthesise) if args.synthesise]
    for task, number in tqdm(tasks, unit=" builds", disable=not sys.stderr.isatty(), leave=False):
        proof = task(best[number], number + 1)
        proofs[number] = proofs.get(number, {}) | proof
        if proof.get("synthesised"):
            best[number][1].update(area_mm2=proof["mm2"], area_why="by synthesis")
    return [proofs[number] for number in sorted(proofs)]


@refusing("sw.explore", InputError, ConfigError)
def main(argv=None) -> int:
    """Search, and write what was found; gives the exit status, 1 where no design is feasible or one that was
    to be built was not."""
    args = _parser().parse_args(argv)
    for name, least in (("points", 1), ("workers", 0), ("verify", 0), ("synthesise", 0)):
        if (getattr(args, name) or 0) < least and getattr(args, name) is not None:
            raise InputError(f"{name} is {getattr(args, name)}, must be {least} or more")
    results = args.results or str(Path(args.space).with_suffix(".parquet"))
    report = args.report or str(Path(args.space).with_suffix(".html"))
    require_writable(results, report)
    space, store = read_space(args.space), Store(Path(args.cache) if args.cache else default_folder())
    known, start = len(store.rows), time.monotonic()
    found, where = _searched(args, space, store)
    seconds, fresh = time.monotonic() - start, len(store.rows) - known
    best = front(found, space)
    good = len(feasible(found, space))
    proofs = _built(args, best)
    limits = [f"{name} ≤ {most:g}" for name, most in space.constraints.items()]
    about = {"space": f"{args.space}, {space.size:,} points",
             "method": args.method if args.method == "grid" else f"{args.method}, seed {args.seed}",
             "evaluated": f"{len(found):,} points, {fresh:,} of them now in {seconds:.1f} s by {where}",
             "feasible": f"{good:,}, {len(best)} on the front", "minimised": ", ".join(space.minimise),
             "constraints": ", ".join(limits) or "none"}
    write_parquet(results, found, space, best)
    write_report(report, found, space, best, about, proofs)
    _show(about, found, space, best, proofs)
    print(f"\n{results}\n{report}")
    bad = [proof for proof in proofs if False in (proof.get("verified"), proof.get("synthesised"))]
    if bad:
        print(f"sw.explore: {len(bad)} of {len(proofs)} designs were not proved", file=sys.stderr)
    if not best:
        print("sw.explore: no design is feasible", file=sys.stderr)
    return int(bool(bad) or not best)


def _show(about, found, space, best, proofs) -> None:
    """The summary on the terminal."""
    print("\n".join(f"{name}: {words}" for name, words in about.items()))
    for count, reason in [(count, reason) for reason, count in failures(found, space)[:4]]:
        print(f"not in question: {count:,} points, {reason}")
    step = max(1, -(-len(best) // LISTED))
    for number, (point, row) in list(enumerate(best, 1))[::step]:
        figures = ", ".join(f"{name} {figure(name, row[name])}" for name in space.minimise)
        print(f"\n{number}: {figures}\n   {command(row, point)}")
    for proof in proofs:
        print("\nbuilt " + ", ".join(f"{name} {value}" for name, value in proof.items()))
