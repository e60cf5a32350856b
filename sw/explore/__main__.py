"""Search of a space of designs: ``python -m sw.explore SPACE.toml``; see :mod:`sw.explore.command`."""

import sys

from sw.explore.command import main

if __name__ == "__main__":
    sys.exit(main())
