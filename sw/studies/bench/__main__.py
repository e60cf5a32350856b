"""What the generated hardware does with its cycles: ``make bench``.

Runs the jobs of an engine's bench through the RTL, compares every bit with the golden model and the
cycles with the cycle model, and prints how long the Verilog takes to emit and how fast it simulates.
"""

import sys

from model.command import Parser, refusing
from model.cta.cost import OPERATING_POINTS
from model.cta.programs import PRODUCTS, PROGRAMS
from model.errors import ConfigError
from sw.io.errors import InputError
from sw.io.writing import require_writable, write_json
from sw.studies.bench import cpu, cpu_page, layers, projections, roofline
from sw.studies.bench.case import Bench, agree, measure
from sw.studies.bench.cta import CTABench
from sw.studies.bench.emission import show_speed
from sw.studies.bench.lookup import LookupBench

__all__ = ["BENCHES", "main", "run"]

BENCHES: dict[str, Bench] = {bench.ENGINE.name: bench for bench in (CTABench(), LookupBench())}
"""One for each engine."""


def run(bench: Bench, seed: int, simulate: bool) -> tuple[dict, bool]:
    """Measure and print: the numbers as plain data, and whether all that was compared agrees."""
    cases = bench.cases(seed)
    if simulate:
        for cfg in dict.fromkeys(case.cfg for case in cases):
            bench.ENGINE.build(cfg, sys.stderr.isatty())
    print(bench.title("RTL" if simulate else "cycle model") + "\n")
    cfg = cases[0].cfg
    data = {"engine": bench.ENGINE.name,
            "config": {key: value for key, value in cfg.as_dict().items() if key != "fmt"},
            "jobs": [measure(bench, case, simulate) for case in cases]}
    bench.show(data["jobs"])
    if simulate:
        show_speed(data, bench.ENGINE.generator, cfg)
    return data, agree(data["jobs"])


@refusing("sw.studies.bench", InputError, ConfigError)
def main(argv=None) -> int:
    """Run a bench; gives the exit status, 1 where something differs."""
    parser = Parser(prog="sw.studies.bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("engine", nargs="?", choices=[*BENCHES, "layers", "cpu"], default="cta",
                        help="an engine; layers: whole attention layers, transfers included; or cpu: the "
                        "kernel of LookupFFN beside torch (default %(default)s)")
    parser.add_argument("--model", action="store_true",
                        help="cycles from the cycle model; nothing is built or simulated")
    parser.add_argument("--report", "--json", metavar="FILE", help="the numbers as JSON")
    parser.add_argument("--seed", type=int, default=0, help="of the operands (default %(default)s)")
    narrow = parser.add_argument_group("layers")
    narrow.add_argument("--net", choices=[net.name for net in layers.NETS], help="one network")
    narrow.add_argument("--n", type=int, choices=layers.TOKENS, help="one number of tokens")
    narrow.add_argument("--point", choices=[*(point.name for point in OPERATING_POINTS), layers.EXACT],
                        help="one operating point, or exact attention")
    narrow.add_argument("--program", choices=[*PROGRAMS], default="",
                        help="the order of the work (default: that of the configuration)")
    narrow.add_argument("--products", choices=PRODUCTS, default="plain",
                        help="how linears multiply (default %(default)s)")
    narrow.add_argument("--sums", type=int, choices=(1, 2), default=1,
                        help="banks of centroid sums (default %(default)s)")
    narrow.add_argument("--sets", type=int, default=2, help="weight sets on chip (default %(default)s)")
    narrow.add_argument("--lanes", type=int, default=16, help="elements of a beat (default %(default)s)")
    narrow.add_argument("--projection", action="store_true", help="the output projection on compressed rows "
                        "in the place of attention, beside all rows on all multipliers")
    narrow.add_argument("--picture", metavar="FILE", help="draw the schedule of the first layer asked for, "
                        "losses coloured by cause, as SVG; nothing is measured")
    narrow.add_argument("--b", type=int, default=8, help="SA columns (default %(default)s)")
    narrow = parser.add_argument_group("cpu")
    narrow.add_argument("--tokens", type=int, action="append", metavar="T",
                        help=f"tokens of a call, 1 or more; may be given again (default {cpu.TOKENS})")
    narrow.add_argument("--threads", type=int, action="append", metavar="N",
                        help="threads of all variants, 1 or more; may be given again (default 1)")
    narrow.add_argument("--d", type=int, choices=[cfg.d for cfg in cpu.CONFIGS], help="one size")
    narrow.add_argument("--paper", action="store_true",
                        help="the paper's rivals too: SLIDE, MONGOOSE, YOSO, Switch, channel shuffle")
    narrow.add_argument("--roofline", metavar="FILE",
                        help="shares of the machine's peaks on one thread, and their picture as PNG")
    narrow.add_argument("--tables", metavar="FILE", help="the tables of what --json wrote to FILE, in "
                        "Markdown; nothing is measured")
    args = parser.parse_args(argv)
    require_writable(args.report)
    require_writable(args.picture)
    require_writable(args.roofline)
    if args.engine == "layers":
        return _layers(args)
    if args.engine == "cpu" and args.tables:
        cpu_page.show(args.tables)
        return 0
    if args.engine == "cpu":
        for name in ("tokens", "threads"):
            if any(value < 1 for value in getattr(args, name) or ()):
                raise InputError(f"--{name} is {min(getattr(args, name))}, must be at least 1")
        if args.roofline:
            roofline.require_picture()
        data = cpu.run([cfg for cfg in cpu.CONFIGS if args.d in (None, cfg.d)], args.tokens or cpu.TOKENS,
                       args.threads or (1,), paper=args.paper, picture=args.roofline)
        if args.report:
            write_json(args.report, data)
        return int(not all(row["equal"] in (True, None) for row in data))
    data, equal = run(BENCHES[args.engine], args.seed, not args.model)
    if args.report:
        write_json(args.report, data)
    if not equal:
        print("sw.studies.bench: RTL differs from the golden or the cycle model", file=sys.stderr)
    return int(not equal)


def _layers(args) -> int:
    chosen = layers.sizes([net for net in layers.NETS if args.net in (None, net.name)],
                          layers.TOKENS if args.n is None else (args.n,),
                          None if args.point is None else (args.point,))
    engine = {name: getattr(args, name) for name in ("b", "program", "products", "sums", "sets", "lanes")}
    if args.picture:
        layers.picture(chosen[0], args.picture, **engine)
        return 0
    measured = projections.measure if args.projection else layers.measure
    rows = layers.run(chosen, measured, **engine, simulate=not args.model, seed=args.seed)
    layers.show(rows)
    if args.report:
        write_json(args.report, rows)
    bad = [row for row in rows if "error" in row or False in (row["equal_golden"], row["equal_model"])]
    if bad:
        print(f"sw.studies.bench: {len(bad)} of {len(rows)} layers differ or could not be measured",
              file=sys.stderr)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
