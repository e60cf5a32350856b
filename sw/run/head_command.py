"""``sw.run cta``: one head of a file."""

import argparse

from model.command import given
from model.cta.job import Mode
from sw.io.errors import InputError
from sw.run import head_file
from sw.run.head import DEFAULT_COMPRESSION, PreparedHead, prepare
from sw.run.subcommand import Subcommand
from sw.sim.engines import ENGINES

__all__ = ["HeadCommand"]


def _counts(text):
    try:
        k0, k1, k2 = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not K0,K1,K2") from None
    return k0, k1, k2


class HeadCommand(Subcommand):
    """The command for a head; see :class:`sw.run.subcommand.Subcommand`."""

    ENGINE = ENGINES["cta"]
    NOUN = "head"
    HELP = "CTA, compressed token attention"
    DESCRIPTION = ("Keys of the input: x (n, dw), or xq and xkv; wq wk wv (dw, d); optionally bq bk bv "
                   "(d,), a (l, dw) or (3, l, dw), b (3, l), w (3,). Keys of the output: o, o_fixed, "
                   "ct0, ct1, ct2.")
    ELSEWHERE = {"d": "columns of wq", "dw": "rows of wq", "l": "as a has, else 6",
                 "n": "512, or the number of tokens if that is more"}

    def add_flags(self, parser) -> None:
        """Mode, compression and hash functions."""
        parser.add_argument("--mode", choices=("cta", "exact"), default="cta",
                            help="exact: ordinary attention on the same array")
        asked = parser.add_mutually_exclusive_group()
        asked.add_argument("--compression", type=float, metavar="RL",
                           help="fraction of rows the linears keep; chooses w "
                           f"(default {DEFAULT_COMPRESSION} if the head has no w)")
        asked.add_argument("--clusters", type=_counts, metavar="K0,K1,K2",
                           help="the same, by the three cluster counts")
        parser.add_argument("--hash", choices=("random", "projection"), default="random",
                            help="where A comes from if the head has none: a seed (the paper), or the "
                            "head's own principal directions (closer)")
        parser.add_argument("--seed", type=int, default=0, help="of a and b where the head has none")

    def prepare(self, args) -> PreparedHead:
        """The head of the file on the engine that it asks for."""
        head = head_file.read_head(args.input)
        cfg = head_file.make_config(head, given(self.ENGINE.config, args), args.config)
        if args.seed < 0:
            raise InputError(f"seed is {args.seed}, must be at least 0")
        return prepare(cfg, head, Mode[args.mode.upper()], args.compression, args.clusters, args.seed,
                       args.hash == "projection")

    def outputs(self, output, result) -> dict:
        """Outputs and cluster tables."""
        return {"o": output, "o_fixed": result.o, "ct0": result.ct0, "ct1": result.ct1,
                "ct2": result.ct2}

    def title(self, data) -> str:
        """Sizes and compression."""
        return (f"{data['mode']}, {data['backend']}: n {data['n']}, m {data['m']}, "
                f"k0 {data['k0']}, k1 {data['k1']}, k2 {data['k2']}, "
                f"RL {data['RL']:.3f}, RA {data['RA']:.3f}")

    def notes(self, data) -> list[str]:
        """Cycles."""
        return [f"cycles: {data['cycles']['total']} ({data['cycles']['source']})"]
