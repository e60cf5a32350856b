"""Where the bits of a CTA engine are, bank by bank: ``python -m sw.studies.memories --dw 768``.

Nothing is built for it: :mod:`model.cta.banks` has the shapes. Parameters that are not given take the
generator's default. ``--nets`` holds the engines of some networks to the budget they were given.
"""

import json
import sys
from dataclasses import dataclass, field

from model.command import Parser, add_parameters, given, refusing
from model.cta.banks import banks, bits
from model.cta.config import CTAConfig
from sw.io.configuration import engine
from sw.io.errors import InputError
from sw.io.tables import heading, line

__all__ = ["NETS", "Budget", "main"]


@dataclass(frozen=True)
class Budget:
    """At most ``most`` bits for an engine of these parameters, at n = 512 with exact mode included."""

    net: str
    most: float
    parameters: dict = field(default_factory=dict)

    @property
    def config(self) -> CTAConfig:
        """The engine."""
        return CTAConfig(**self.parameters)

    @property
    def words(self) -> str:
        """Its parameters as flags."""
        return " ".join(f"--{name} {value}" for name, value in self.parameters.items())


# The clusters of the paper's CTA-0 and none to spare, and one bank of AP.
_POINTS = {"k0": 322, "k1": 258, "k2": 29, "aps": 1}

NETS = (Budget("default", 3.2e6), Budget("MiniLM", 8e6, dict(d=32, dw=384)),
        Budget("MiniLM", 8e6, dict(d=32, dw=384, sets=2)),
        Budget("BERT-base", 15.5e6, dict(dw=768)), Budget("BERT-base", 15.5e6, dict(dw=768, sets=2)),
        Budget("BERT-large", 19e6, dict(dw=1024)), Budget("BERT-large", 19e6, dict(dw=1024, **_POINTS)))
"""What the engines of three networks may take, with their tokens kept; a second weight set is for loads that
nothing waits for."""

COLUMNS = (("bank", 14), ("ports", 5), ("macros", 6), ("words", 6), ("bits", 5), ("kbit", 9), ("share", 6))
BUDGETS = (("engine", 10), ("Mbit", 6), ("budget", 6), ("met", 4))


def table(cfg: CTAConfig) -> str:
    """The banks of an engine, and what they add up to."""
    total = bits(cfg)
    rows = [line(COLUMNS, [bank.name, bank.ports, bank.count, bank.depth, bank.width,
                           f"{bank.bits / 1e3:,.1f}", f"{bank.bits / total:.1%}"]) + f"  {bank.holds}"
            for bank in banks(cfg)]
    macros = sum(bank.count for bank in banks(cfg))
    return "\n".join([heading(COLUMNS) + "  holds", *rows, "", f"{macros:,} macros, {total / 1e6:.2f} Mbit"])


def budgets() -> str:
    """The engines of :data:`NETS` beside their budgets."""
    rows = []
    for net in NETS:
        total = bits(net.config)
        rows.append(line(BUDGETS, [net.net, f"{total / 1e6:.2f}", f"{net.most / 1e6:g}",
                                   "yes" if total <= net.most else "no"]) + f"  {net.words}".rstrip())
    return "\n".join([heading(BUDGETS) + "  parameters", *rows])


@refusing("sw.studies.memories", InputError)
def main(argv=None) -> int:
    parser = Parser(prog="sw.studies.memories", description="Where the bits of a CTA engine are.")
    add_parameters(parser, CTAConfig)
    parser.add_argument("--config", metavar="FILE", help="the same as JSON; flags go over it")
    parser.add_argument("--nets", action="store_true",
                        help="the engines of some networks beside their budgets; no other flag counts")
    parser.add_argument("--json", action="store_true", help="the banks as JSON")
    args = parser.parse_args(argv)
    if args.nets:
        print(budgets())
        return 0
    cfg = engine(CTAConfig, given(CTAConfig, args), args.config)
    if args.json:
        print(json.dumps({"memory_bits": bits(cfg), "banks": [bank.as_dict() for bank in banks(cfg)]},
                         indent=2))
    else:
        print(table(cfg))
    return 0


if __name__ == "__main__":
    sys.exit(main())
