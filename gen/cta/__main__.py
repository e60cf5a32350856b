"""``python -m gen.cta``: the CTA accelerator as Verilog on standard output."""

import sys

from gen.cta.engine import ENGINE

main = ENGINE.main

if __name__ == "__main__":
    sys.exit(main())
