"""Every engine that there is a generator of. A further one is a package of its own and a line here.

What works on any engine takes it from here: lint, and the configuration of a cocotb bench.
"""

from gen.command import Command
from gen.cta.engine import ENGINE as CTA
from gen.lookup.engine import ENGINE as LOOKUP

__all__ = ["ENGINES"]

ENGINES: dict[str, Command] = {
    "cta": CTA,
    "lookup": LOOKUP,
}
