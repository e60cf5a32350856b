"""Run one layer on an engine: ``python -m sw.run cta head.npz -o out.npz --report report.json``,
``python -m sw.run lookup layer.npz ...``, ``python -m sw.run model EXPORT --layer NAME ...``.

Exit status 0 on success, 2 on bad input (one line on stderr, nothing written).
"""

import sys

from model.command import Parser, refusing
from sw.io.errors import InputError
from sw.io.figures import large
from sw.io.writing import require_writable, write_json, write_npz
from sw.run import model as model_run
from sw.run.head_command import HeadCommand
from sw.run.layer_command import LayerCommand
from sw.run.subcommand import Subcommand

__all__ = ["SUBCOMMANDS", "main"]

SUBCOMMANDS: tuple[Subcommand, ...] = (HeadCommand(), LayerCommand())
"""One for each engine."""


def _parser():
    parser = Parser(prog="sw.run", description="Run one layer on an engine.")
    engines = parser.add_subparsers(dest="engine", required=True, metavar="ENGINE",
                                    parser_class=Parser)
    for subcommand in SUBCOMMANDS:
        subcommand.add(engines)
    model_run.add_parser(engines)
    return parser


@refusing("sw.run", InputError)
def main(argv=None) -> int:
    """Run what a command line says; gives the exit status."""
    args = _parser().parse_args(argv)
    require_writable(args.output, args.report)
    outputs, data, summary = args.command(args, sys.stderr.isatty())
    if args.output:
        write_npz(args.output, outputs)
    if args.report:
        write_json(args.report, data)
        # Nobody reads a file of which a script takes one number: what is large is said here.
        for line in large(data):
            print(f"sw.run: {line}", file=sys.stderr)
    else:
        print(summary)
    return 0
