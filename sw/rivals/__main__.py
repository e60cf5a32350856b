"""Rivals of the attention engine on a layer: ``python -m sw.rivals --n 512``.

Cycles, row accesses and multiplications of each, by models of its own paper; the layer's queries and keys are
those of a file, by default the trained head that ships.
"""

import dataclasses
import sys

from model.command import Parser, refusing
from model.cta.parameters import SA_WIDTHS
from sw.io.errors import InputError
from sw.io.shipped import HEAD
from sw.io.writing import require_writable, write_json
from sw.rivals import figures
from sw.rivals.compare import rows, table
from sw.rivals.operands import read_layer

__all__ = ["main"]


def _counts(text: str) -> tuple[int, int, int]:
    try:
        k0, k1, k2 = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"clusters is {text!r}, must be K0,K1,K2") from None
    return k0, k1, k2


@refusing("sw.rivals", InputError)
def main(argv=None) -> int:
    """Print the table."""
    parser = Parser(prog="sw.rivals", description="Rivals of the attention engine on a layer.")
    parser.add_argument("--n", type=int, metavar="N", help="tokens, the first of the file (default: all)")
    parser.add_argument("--heads", type=int, metavar="N",
                        help="heads; one head of a file may stand for many (default: those of the file)")
    parser.add_argument("--clusters", type=str, metavar="K0,K1,K2",
                        help="cluster counts of CTA (default: the paper's three points)")
    parser.add_argument("--b", type=int, choices=SA_WIDTHS, default=8,
                        help="columns of our array and of those of equal size (default %(default)s)")
    parser.add_argument("--operands", metavar="FILE", nargs="+", default=[HEAD],
                        help="the heads of a layer, each an .npz as `hashlayer run cta` takes it; or one "
                        ".npz with q and k (heads, n, d), optionally v and dw (default: the head that ships)")
    parser.add_argument("--figures", action="store_true",
                        help="figures of the rivals' papers beside ours, on the head that ships, and no more")
    parser.add_argument("--report", "--json", metavar="FILE", help="all numbers as JSON")
    args = parser.parse_args(argv)
    require_writable(args.report)
    if args.figures:
        known = figures.figures(read_layer(HEAD))
        print(figures.table(known))
        if args.report:
            write_json(args.report, {"figures": [dataclasses.asdict(each) for each in known]})
        return 0
    layer = read_layer(args.operands, args.n, args.heads, args.clusters and _counts(args.clusters))
    found = rows(layer, args.b)
    print(f"n {layer.n}, heads {layer.heads}, d {layer.d}, dw {layer.width}\n\n{table(found)}")
    if args.report:
        write_json(args.report, {"n": layer.n, "heads": layer.heads, "d": layer.d, "dw": layer.width,
                                 "rivals": [dataclasses.asdict(row) for row in found]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
