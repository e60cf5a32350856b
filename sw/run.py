"""Run one attention head: ``python -m sw.run cta head.npz -o out.npz --report report.json``.

Exit status 0 on success, 2 on bad input (one line on stderr, nothing written).
"""

import argparse
import sys
from pathlib import Path

from model.cta.job import Mode
from sw.head_file import InputError, STRUCTURE, make_config, read_head, write_json, write_npz
from sw.head_run import BACKENDS, DEFAULT_COMPRESSION, execute, prepare, report

__all__ = ["main"]

_HELP = {
    "b": "SA width in columns: 2, 4, 8, 16 or 32 (default 8)",
    "d": "head dimension (default: columns of wq)",
    "dw": "token dimension (default: rows of wq)",
    "l": "hash code length, 1..8 (default: as a has, else 6)",
    "n": "most tokens (default: 512, or the number of tokens if that is more)",
    "k0": "cluster capacity of LSH0 (default n)", "k1": "of LSH1", "k2": "of LSH2",
    "pag": "exponentials a cycle (default 2b)", "sets": "weight sets on chip",
    "lanes": "elements a beat of the host streams", "digit": "bits a layer of the cluster tree",
}


class _Parser(argparse.ArgumentParser):
    """Usage errors in one line, as all others."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def _counts(text):
    try:
        k0, k1, k2 = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not K0,K1,K2") from None
    return k0, k1, k2


def _parser():
    parser = _Parser(prog="sw.run", description="Run one attention head.")
    engines = parser.add_subparsers(dest="engine", required=True, metavar="ENGINE",
                                    parser_class=_Parser)
    cta = engines.add_parser("cta", prog="sw.run cta", help="CTA, compressed token attention",
                             description="Keys of the input: x (n, dw), or xq and xkv; wq wk wv "
                             "(dw, d); optionally bq bk bv (d,), a (l, dw) or (3, l, dw), "
                             "b (3, l), w (3,). Keys of the output: o, o_fixed, ct0, ct1, ct2.")
    cta.add_argument("head", help="the head, an .npz")
    cta.add_argument("--backend", choices=BACKENDS, default="golden",
                     help="double precision, bit-exact model, or simulated Verilog "
                     "(default golden)")
    cta.add_argument("--mode", choices=("cta", "exact"), default="cta",
                     help="exact: ordinary attention on the same array")
    cta.add_argument("-o", "--output", metavar="FILE", help="where the outputs go, an .npz")
    cta.add_argument("--report", metavar="FILE", help="where the report goes, JSON "
                     "(default: a summary on stdout)")
    asked = cta.add_mutually_exclusive_group()
    asked.add_argument("--compression", type=float, metavar="RL",
                       help="fraction of rows the linears keep; chooses w "
                       f"(default {DEFAULT_COMPRESSION} if the head has no w)")
    asked.add_argument("--clusters", type=_counts, metavar="K0,K1,K2",
                       help="the same, by the three cluster counts")
    cta.add_argument("--hash", choices=("random", "projection"), default="random",
                     help="where A comes from if the head has none: a seed (the paper), or the "
                     "head's own principal directions (closer)")
    cta.add_argument("--seed", type=int, default=0, help="of a and b where the head has none")
    cta.add_argument("--config", metavar="FILE",
                     help="engine configuration, JSON; flags go over it")
    for name in STRUCTURE:
        cta.add_argument(f"--{name}", type=int, help=_HELP[name])
    return parser


def summary(data: dict) -> str:
    """The report in a few lines."""
    error, cycles = data["error"], data["cycles"]
    lines = [f"{data['mode']}, {data['backend']}: n {data['n']}, m {data['m']}, "
             f"k0 {data['k0']}, k1 {data['k1']}, k2 {data['k2']}, "
             f"RL {data['RL']:.3f}, RA {data['RA']:.3f}"]
    lines += [f"error {name}: {value:.4f}" for name, value in error.items()]
    lines.append(f"cycles: {cycles['total']} ({cycles['source']})")
    if any(data.get("saturations", {}).values()):
        lines.append("saturations: " + ", ".join(
            f"{name} {count}" for name, count in data["saturations"].items() if count))
    if any(data.get("overflow", {}).values()):
        lines.append("tokens beyond the cluster capacity: " + ", ".join(
            f"{name} {count}" for name, count in data["overflow"].items()))
    return "\n".join(lines)


def main(argv=None) -> int:
    args = _parser().parse_args(argv)
    try:
        head = read_head(args.head)
        for path in (args.output, args.report):
            # Better now than after a simulation.
            if path and not Path(path).absolute().parent.is_dir():
                raise InputError(f"{path} cannot be written: its folder does not exist")
        cfg = make_config(head, {name: getattr(args, name) for name in STRUCTURE}, args.config)
        if args.seed < 0:
            raise InputError(f"seed is {args.seed}, must be at least 0")
        prepared = prepare(cfg, head, Mode[args.mode.upper()], args.compression, args.clusters,
                           args.seed, args.hash == "projection")
        outcome = execute(prepared, args.backend, progress=sys.stderr.isatty())
        data = report(prepared, outcome, args.backend)
        if args.output:
            r = outcome.result
            write_npz(args.output, {"o": outcome.o, "o_fixed": r.o, "ct0": r.ct0, "ct1": r.ct1,
                                    "ct2": r.ct2})
        if args.report:
            write_json(args.report, data)
        else:
            print(summary(data))
    except InputError as error:
        print(f"sw.run: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
