"""``python -m gen ENGINE ...``: any engine of the list as Verilog on standard output."""

import sys

from gen.engines import ENGINES
from model.command import Parser

__all__ = ["main"]


def main(argv=None) -> int:
    """Emit the engine that is named; gives the exit status."""
    parser = Parser(prog="gen", description="An engine as Verilog on standard output.")
    engines = parser.add_subparsers(dest="engine", required=True, metavar="ENGINE")
    for name, engine in ENGINES.items():
        engine.add_flags(engines.add_parser(name, prog=engine.program, help=engine.what,
                                            description=engine.description))
    arguments = parser.parse_args(argv)
    return ENGINES[arguments.engine].emit(arguments)


if __name__ == "__main__":
    sys.exit(main())
