"""What a LookupFFN configuration costs: ``python -m sw.studies.accounting --h 128 --tau 8 --block 64``.

FLOP as the paper counts them, sizes, bytes moved and the cycles that no schedule can beat. No
layer is needed, only its shape; parameters that are not given take the generator's default.
"""

import json
import sys

from model.command import Parser, add_parameters, given, refusing
from model.lookup.config import LookupConfig
from sw.io.configuration import engine
from sw.io.errors import InputError
from sw.run.layer import cost

__all__ = ["main"]


def table(cfg: LookupConfig) -> str:
    """The costs in words."""
    c = cost(cfg)
    layer = f"d {cfg.d}, h {cfg.h}, tau {cfg.tau}, " + (
        "dense" if cfg.projection == "dense" else f"block {cfg.block}, {cfg.copies} copies of BH4")
    rows = (
        ("FLOP a token, projection", c["hash_flop"]),
        ("FLOP a token, gather", c["gather_flop"]),
        ("FLOP a token", f"{c['flop']:,} ({c['vanilla_flop'] / c['flop']:.1f} times fewer than "
                         f"{c['vanilla_flop']:,} of d -> 4 d -> d)"),
        ("multiplications a token", c["macs"]),
        ("Hadamard additions a token", c["hadamard_adds"]),
        ("projection weights", f"{c['weights']:,} ({c['weight_bits'] / 8192:,.1f} KiB stored)"),
        ("table entries", f"{c['table_entries']:,} ({_mib(c['stored_bytes'])} stored, "
                          f"{_mib(c['fp32_bytes'])} in single precision)"),
        ("table bytes a token, token-major", c["gather_bytes"]),
        (f"table bytes a batch of {cfg.batch}, table-major", c["batch_bytes"]),
        ("table-major moves fewer bytes from a batch of", f"{c['worthwhile_batch']:,.0f} tokens"),
        ("bytes a token, in and out", c["token_bytes"]),
        (f"least cycles a token, {cfg.multipliers} multipliers", c["projection_cycles"]),
        (f"least cycles a token, {cfg.lanes} gather lanes", c["gather_cycles"]),
    )
    return "\n".join([layer, *(f"  {name:47} {value if isinstance(value, str) else f'{value:,}'}"
                               for name, value in rows)])


def _mib(size):
    return f"{size / 2**20:,.2f} MiB"


@refusing("sw.studies.accounting", InputError)
def main(argv=None) -> int:
    parser = Parser(prog="sw.studies.accounting", description="What a LookupFFN configuration costs.")
    add_parameters(parser, LookupConfig)
    parser.add_argument("--config", metavar="FILE", help="the same as JSON; flags go over it")
    parser.add_argument("--json", action="store_true", help="all numbers, as JSON")
    args = parser.parse_args(argv)
    cfg = engine(LookupConfig, given(LookupConfig, args), args.config)
    print(json.dumps(cost(cfg), indent=2) if args.json else table(cfg))
    return 0


if __name__ == "__main__":
    sys.exit(main())
