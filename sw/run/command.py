"""Run one layer on an engine: ``python -m sw.run cta head.npz -o out.npz --report report.json``,
``python -m sw.run lookup layer.npz ...``, ``python -m sw.run model EXPORT --layer NAME ...``.

Exit status 0 on success, 2 on bad input (one line on stderr, nothing written).
"""

import argparse
import sys

from model.command import Parser
from model.cta.config import CTAConfig
from model.cta.job import Mode
from model.lookup.job import Order
from sw.io.figures import error_line, event_lines, large
from sw.io.npz import InputError, require_writable, write_json, write_npz
from sw.run import head as head_run
from sw.run import head_file, layer_file
from sw.run import layer as layer_run
from sw.run import model as model_run
from sw.sim.backends import BACKENDS

__all__ = ["main"]

_OF_THE_HEAD = {
    "d": "columns of wq", "dw": "rows of wq", "l": "as a has, else 6",
    "n": "512, or the number of tokens if that is more",
}
"""Where a parameter comes from that the command line does not give."""


def _counts(text):
    try:
        k0, k1, k2 = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not K0,K1,K2") from None
    return k0, k1, k2


def _engine(engines, name, what, command, **texts):
    """The part of an engine's command line that all share."""
    parser = engines.add_parser(name, prog=f"sw.run {name}", **texts)
    parser.set_defaults(command=command)
    parser.add_argument("input", metavar=what, help=f"the {what}, an .npz")
    parser.add_argument("--backend", choices=BACKENDS, default="golden",
                        help="double precision, bit-exact model, or simulated Verilog "
                        "(default golden)")
    parser.add_argument("-o", "--output", metavar="FILE", help="where the outputs go, an .npz")
    parser.add_argument("--report", metavar="FILE", help="where the report goes, JSON "
                        "(default: a summary on stdout)")
    parser.add_argument("--config", metavar="FILE",
                        help="engine configuration, JSON; flags go over it")
    return parser


def _parser():
    parser = Parser(prog="sw.run", description="Run one layer on an engine.")
    engines = parser.add_subparsers(dest="engine", required=True, metavar="ENGINE",
                                    parser_class=Parser)
    cta = _engine(engines, "cta", "head", _cta, help="CTA, compressed token attention",
                  description="Keys of the input: x (n, dw), or xq and xkv; wq wk wv "
                  "(dw, d); optionally bq bk bv (d,), a (l, dw) or (3, l, dw), "
                  "b (3, l), w (3,). Keys of the output: o, o_fixed, ct0, ct1, ct2.")
    cta.add_argument("--mode", choices=("cta", "exact"), default="cta",
                     help="exact: ordinary attention on the same array")
    asked = cta.add_mutually_exclusive_group()
    asked.add_argument("--compression", type=float, metavar="RL",
                       help="fraction of rows the linears keep; chooses w "
                       f"(default {head_run.DEFAULT_COMPRESSION} if the head has no w)")
    asked.add_argument("--clusters", type=_counts, metavar="K0,K1,K2",
                       help="the same, by the three cluster counts")
    cta.add_argument("--hash", choices=("random", "projection"), default="random",
                     help="where A comes from if the head has none: a seed (the paper), or the "
                     "head's own principal directions (closer)")
    cta.add_argument("--seed", type=int, default=0, help="of a and b where the head has none")
    texts = CTAConfig.parameter_help(**_OF_THE_HEAD)
    for name in head_file.STRUCTURE:
        cta.add_argument(f"--{name}", type=int, help=texts[name])

    lookup = _engine(engines, "lookup", "layer", _lookup,
                     help="LookupFFN, a feed-forward network as table look-ups",
                     description="Keys of the input: x (t, d); blocks (r, 4, n/bs, bs, bs) as "
                     "[out, in], or dense (h*tau, d); z_bias (h*tau,), tables (h, 2**tau, d), "
                     "out_bias (d,); optionally skip (coefficients of x and of BH4(x), default "
                     "0.3 and 0.7) and residual (t, d). Keys of the output: y, y_fixed, codes.")
    lookup.add_argument("--order", choices=[_word(order) for order in Order],
                        default=_word(Order.TOKEN_MAJOR),
                        help="table-major: a table is read once for a batch of tokens")
    layer_file.add_flags(lookup)
    model_run.add_parser(engines, [_word(order) for order in Order])
    return parser


def _word(order):
    return order.name.lower().replace("_", "-")


def _cta(args):
    """Outputs, report and its summary of a head."""
    head = head_file.read_head(args.input)
    cfg = head_file.make_config(head, {name: getattr(args, name) for name in head_file.STRUCTURE},
                                args.config)
    if args.seed < 0:
        raise InputError(f"seed is {args.seed}, must be at least 0")
    prepared = head_run.prepare(cfg, head, Mode[args.mode.upper()], args.compression,
                                args.clusters, args.seed, args.hash == "projection")
    outcome = head_run.execute(prepared, args.backend, progress=sys.stderr.isatty())
    r, data = outcome.result, head_run.report(prepared, outcome, args.backend)
    return ({"o": outcome.o, "o_fixed": r.o, "ct0": r.ct0, "ct1": r.ct1, "ct2": r.ct2}, data,
            _cta_summary(data))


def _lookup(args):
    """Outputs, report and its summary of a LookupFFN layer."""
    real = layer_file.read_layer(args.input)
    cfg = layer_file.make_config(real, {name: getattr(args, name)
                                        for name in layer_file.STRUCTURE}, args.config)
    prepared = layer_run.prepare(cfg, real, Order[args.order.upper().replace("-", "_")])
    outcome = layer_run.execute(prepared, args.backend, progress=sys.stderr.isatty())
    r, data = outcome.result, layer_run.report(prepared, outcome, args.backend)
    return {"y": outcome.y, "y_fixed": r.y, "codes": r.codes}, data, _lookup_summary(data)


def _cta_summary(data):
    error, cycles = data["error"], data["cycles"]
    lines = [f"{data['mode']}, {data['backend']}: n {data['n']}, m {data['m']}, "
             f"k0 {data['k0']}, k1 {data['k1']}, k2 {data['k2']}, "
             f"RL {data['RL']:.3f}, RA {data['RA']:.3f}"]
    lines += [error_line(name, value) for name, value in error.items()]
    lines.append(f"cycles: {cycles['total']} ({cycles['source']})")
    return "\n".join(lines + event_lines(data))


def _lookup_summary(data):
    config, cost = data["config"], data["cost"]
    lines = [f"{data['backend']}: t {data['tokens']}, d {config['d']}, h {config['h']}, "
             f"tau {config['tau']}, {config['projection']}"
             + (f", block {config['block']}" if config["projection"] == "bh4" else "")]
    lines += [error_line(name, value) for name, value in data["error"].items()]
    lines.append(f"wrong rows: {data['wrong_rows']:.2%}")
    lines.append(f"FLOP a token: {cost['flop']:,}, {cost['vanilla_flop']:,} without tables")
    lines.append(f"table bytes read: {data['table_bytes']:,}")
    if "cycles" in data:
        cycles = data["cycles"]
        lines.append(f"cycles: {cycles['total']}, {cycles['per_token']:.0f} a token, "
                     f"at least {cost['bound']} ({cycles['source']})")
    return "\n".join(lines + event_lines(data))


def main(argv=None) -> int:
    args = _parser().parse_args(argv)
    try:
        require_writable(args.output, args.report)
        outputs, data, summary = args.command(args)
        if args.output:
            write_npz(args.output, outputs)
        if args.report:
            write_json(args.report, data)
            # Nobody reads a file of which a script takes one number: what is large is said here.
            for line in large(data):
                print(f"sw.run: {line}", file=sys.stderr)
        else:
            print(summary)
    except InputError as error:
        print(f"sw.run: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0
