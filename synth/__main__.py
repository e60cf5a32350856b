"""``python -m synth``: see :mod:`synth.command`."""

import sys

from synth.command import main

if __name__ == "__main__":
    sys.exit(main())
