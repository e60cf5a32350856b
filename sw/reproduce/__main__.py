"""``python -m sw.reproduce``: see :mod:`sw.reproduce.command`."""

import sys

from sw.reproduce.command import main

if __name__ == "__main__":
    sys.exit(main())
