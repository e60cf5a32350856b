"""What the generated hardware does with its cycles: ``make bench``.

CTA: runs jobs whose cluster counts are exactly the paper's three operating points, and exact mode
on the same tokens, through the RTL; compares with the formula of Table I and with the cycle model.
Prints how long the Verilog takes to emit and how fast it simulates. For ``python -m sw.studies.bench
lookup`` see sw.studies.bench_lookup.
"""

import dataclasses
import sys

from model.command import Parser
from model.cta import head as golden
from model.cta.config import CTAConfig
from model.cta.cost import OPERATING_POINTS, ideal_cycles, table1_cycles, useful_macs
from model.cta.cycles import head_cycles
from model.cta.job import Mode
from model.cta.stimulus import operating_point
from sw.io.npz import InputError, require_writable, write_json
from sw.run.head import build_rtl, differences
from sw.studies import bench_lookup
from sw.studies.emission import show_speed

__all__ = ["main"]

PHASES = {"compress": ("hash",), "linear": ("k", "v"), "attention": ("q", "score", "out")}
"""Phases of the status word, and the products that are formed in each."""


def measure(cfg, name, weights, job, reuse, simulate):
    """One job: cycles by phase, useful multiplier slots, and what they are compared with.

    ``reuse``: the job is that of a further head of the layer, on clusters that are there.
    """
    expected = golden.run(cfg, weights, job, reuse)
    n, m = len(job.xkv), len(job.xkv) if job.xq is None else len(job.xq)
    model = head_cycles(cfg, n, m, expected.k0, expected.k1, expected.k2, job.mode,
                        weights.shared_a, reuse)
    total, phases, rate, equal = model.total, model.phases, None, None
    if simulate:
        result = simulate(cfg, weights, job, reuse)
        total, phases, rate = result.cycles, result.phases, result.rate
        equal = not differences(result, expected)
    macs = useful_macs(cfg, n, expected.k0, expected.k1, expected.k2, m)
    if reuse:
        macs["hash"] = 0
    slots = cfg.b * cfg.d
    return {
        "name": name, "k0": expected.k0, "k1": expected.k1, "k2": expected.k2,
        "cycles": total, "model": model.total,
        "table1": None if job.mode == Mode.EXACT else
        table1_cycles(cfg, n, expected.k0, expected.k1, expected.k2, m),
        "phases": {phase: {"cycles": phases[phase],
                           "useful": sum(macs[use] for use in uses) / (slots * phases[phase])}
                   for phase, uses in PHASES.items()},
        "useful": sum(macs.values()) / (slots * total),
        "of_ideal": total / ideal_cycles(cfg, n, m), "equal": equal, "cycles_per_second": rate,
    }


def show(rows, cfg, simulated):
    """Two tables: cycles and what they are compared with, multiplier slots by phase."""
    print(f"{'':16}{'k0':>6}{'k1':>6}{'k2':>6}{'cycles':>10}{'Table I':>10}{'ratio':>8}"
          f"{'of ideal':>10}" + (f"{'= golden':>10}{'= model':>9}" if simulated else ""))
    for r in rows:
        formula, ratio = "-", "-"
        if r["table1"] is not None:
            formula, ratio = f"{r['table1']:,}", f"{r['cycles'] / r['table1']:.3f}"
        checks = (("yes" if r["equal"] else "NO").rjust(10)
                  + ("yes" if r["cycles"] == r["model"] else "NO").rjust(9) if simulated else "")
        print(f"{r['name']:16}{r['k0']:>6}{r['k1']:>6}{r['k2']:>6}{r['cycles']:>10,}{formula:>10}"
              f"{ratio:>8}{r['of_ideal']:>10.3f}{checks}")
    print(f"\n{'':16}" + "".join(f"{phase:>12}{'useful':>8}" for phase in PHASES)
          + f"{'all':>12}{'useful':>8}")
    for r in rows:
        print(f"{r['name']:16}"
              + "".join(f"{p['cycles']:>12,}{p['useful']:>8.1%}" for p in r["phases"].values())
              + f"{r['cycles']:>12,}{r['useful']:>8.1%}")
    print(f"\nof ideal: cycles by those of exact attention with all {cfg.b} × {cfg.d} multipliers "
          f"busy in every cycle ({ideal_cycles(cfg, cfg.n):,.0f})\n"
          "useful: multiplier slots whose product enters a result, of all slots\n"
          "again: a further head of the same layer, which takes the clusters of the first")


def main(argv=None) -> int:
    try:
        return _bench(argv)
    except InputError as error:
        print(f"sw.studies.bench: {error}", file=sys.stderr)
        return 2


def _bench(argv):
    parser = Parser(prog="sw.studies.bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("engine", nargs="?", choices=("cta", "lookup"), default="cta")
    parser.add_argument("--model", action="store_true",
                        help="cta: cycles from the cycle model; nothing is built or simulated")
    parser.add_argument("--report", metavar="FILE", help="the numbers as JSON")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if args.engine == "lookup" and args.model:
        parser.error("--model is for cta")
    require_writable(args.report)
    data, equal = (_cta(args.seed, not args.model) if args.engine == "cta" else
                   bench_lookup.run(args.seed))
    if args.report:
        write_json(args.report, data)
    if not equal:
        print("sw.studies.bench: RTL differs from the golden or the cycle model", file=sys.stderr)
    return int(not equal)


def _cta(seed, rtl):
    """The paper's operating points and exact mode: the numbers, and that all agree."""
    cfg = CTAConfig()
    simulate = None
    if rtl:
        build_rtl(cfg, progress=sys.stderr.isatty())
        from sw.sim.cta import run_head

        def simulate(cfg, weights, job, reuse):
            return run_head(cfg, weights, job, progress=sys.stderr.isatty(), reuse=reuse)

    jobs = []
    for point in OPERATING_POINTS:
        weights, job = operating_point(cfg, point.k0, point.k1, point.k2, cfg.n, seed=seed)
        jobs.append((point.name, weights, job))
    jobs.append(("exact", weights, dataclasses.replace(job, mode=Mode.EXACT)))
    # The first head of a layer, then any of the others.
    jobs = [(name + ", again" * reuse, weights, job, reuse) for reuse in (False, True)
            for name, weights, job in jobs]

    data = {"config": {k: v for k, v in cfg.as_dict().items() if k != "fmt"}}
    source = "RTL" if rtl else "cycle model"
    print(f"b = {cfg.b}, d = {cfg.d}, l = {cfg.l}, n = {cfg.n}; cycles from the {source}\n")
    rows = data["jobs"] = [measure(cfg, *job, simulate) for job in jobs]
    show(rows, cfg, rtl)
    if rtl:
        show_speed(data, "gen.cta", cfg, ("b", "d", "dw", "l", "n"))
    return data, not rtl or all(r["equal"] and r["cycles"] == r["model"] for r in rows)


if __name__ == "__main__":
    sys.exit(main())
