"""``hashlayer equal ENGINE ...``: which mapped blocks of an engine are proved equal to their Verilog.

    hashlayer equal cta --b 2 --d 8 --blocks exponent,lane,tree_layer_4_16      # 1 min

A block that is not proved is no fault in itself: multipliers are too hard for SAT. Its replay
(``hashlayer synth --activity``) compares it on a real job.
"""

import re
import sys

from gen.emit import EmitError
from gen.engines import ENGINES
from gen.progress import progress
from model.command import Parser, refusing
from model.errors import ConfigError
from synth.command import cache_dir, emitted_blocks
from synth.equivalence import PROVED, equivalence
from synth.mapping import interface, map_modules
from synth.sram import stub
from synth.technology import technology

__all__ = ["main", "proofs"]


def proofs(engine: str, cfg, wanted: list[str], seconds: float, show=lambda _: None) -> dict[str, str]:
    """Of each block its :data:`synth.equivalence.PROVED` or OPEN; all with logic where ``wanted`` is empty.

    Raises ConfigError for a block that there is not.
    """
    blocks, chosen = emitted_blocks(engine, cfg, show), technology("45nm")
    found, names, macros = blocks.modules, blocks.names, blocks.macros
    for block in wanted:
        if f"{engine}_{block}" not in names:
            raise ConfigError(f"blocks has {block!r}, must be of " + ", ".join(
                name.removeprefix(f"{engine}_") for name in names))
    mapped = map_modules(found, names, macros, chosen.liberty, cache_dir(), show)
    result = {}
    for name in [f"{engine}_{block}" for block in wanted] or [name for name in names if mapped[name].cells]:
        show(f"{name} is proved")
        below = [stub(macros[child]) if child in macros else re.sub(r"//.*", "", interface(found[child]))
                 for child in found[name].children]
        result[name] = equivalence(mapped[name].netlist, found[name].text, below, chosen.liberty, seconds)
    return result


@refusing("equal", ConfigError, EmitError, OSError)
def main(argv=None) -> int:
    """Prove; gives the exit status."""
    parser = Parser(prog="equal", description="Mapped blocks against their Verilog.")
    engines = parser.add_subparsers(dest="engine", required=True, metavar="ENGINE")
    for name, engine in ENGINES.items():
        one = engines.add_parser(name, prog=f"equal {name}", help=engine.what)
        engine.add_configuration(one)
        one.add_argument("--blocks", default="", metavar="NAME,...",
                         help="modules without the engine's name (default: all that have cells)")
        one.add_argument("--seconds", type=float, default=60.0, metavar="S",
                         help="for each block (default %(default)s)")
    args = parser.parse_args(argv)
    if not 0 < args.seconds < float("inf"):
        raise ConfigError(f"seconds is {args.seconds}, must be above 0")
    with progress(f"equal {args.engine}") as show:
        found = proofs(args.engine, ENGINES[args.engine].configuration(args),
                       [block for block in args.blocks.split(",") if block], args.seconds, show)
    width = max(map(len, found))
    print("\n".join(f"{name.ljust(width)}  {said}" for name, said in found.items()))
    print(f"{sum(said == PROVED for said in found.values())} of {len(found)} proved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
