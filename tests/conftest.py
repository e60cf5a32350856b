"""Counts of what the sweeps tried, printed when a run of the tests ends.

A test that tries many things of one kind (configurations, jobs, reset positions, inputs) takes the
fixture ``tried`` and says how many: ``tried("reset", jobs=1, positions=717)``. Counts of the same
kind add up; ``make reliability`` runs the marked sweeps and prints them all, and
docs/reliability.md shows that table.
"""

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

COUNTS = pytest.StashKey[dict]()
TABLE = "HASHLAYER_RELIABILITY"
"""Environment variable: a file to which the counts go as JSON as well."""


def pytest_configure(config):
    config.stash[COUNTS] = defaultdict(lambda: defaultdict(int))


@pytest.fixture
def tried(request):
    """``tried(kind, **counts)``: add to what the sweeps of a kind have tried."""
    def count(kind: str, **counts: int):
        for what, number in counts.items():
            request.config.stash[COUNTS][kind][what] += number
    return count


def pytest_terminal_summary(terminalreporter, config):
    counts = config.stash[COUNTS]
    if not counts:
        return
    terminalreporter.section("what the sweeps tried")
    for kind in sorted(counts):
        each = ", ".join(f"{number:,} {what.replace('_', ' ')}"
                         for what, number in counts[kind].items())
        terminalreporter.write_line(f"{kind:<32}  {each}")
    if os.environ.get(TABLE):
        Path(os.environ[TABLE]).write_text(json.dumps(counts, indent=2, sort_keys=True) + "\n")
