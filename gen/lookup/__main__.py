"""``python -m gen.lookup``: the LookupFFN engine as Verilog on standard output."""

import sys

from gen.lookup.engine import ENGINE

main = ENGINE.main

if __name__ == "__main__":
    sys.exit(main())
