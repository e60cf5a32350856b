"""``python -m sw.run``: see ``sw.run.command``."""

import sys

from sw.run.command import main

if __name__ == "__main__":
    sys.exit(main())
