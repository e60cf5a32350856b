"""``python -m sw.demo``: see ``sw.demo.head``."""

import sys

from sw.demo.head import main

if __name__ == "__main__":
    sys.exit(main())
