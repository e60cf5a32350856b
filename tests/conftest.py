"""The tests of ``make check``; tests of extras that are not installed; what the sweeps tried.

``--quick`` keeps the rules over the sources (marked ``structure``), the tests of ``model``, and of
``gen`` the first case of every test, where the file loads no torch, no cocotb and nothing of ``sw``:
what needs a compiler comes from there.

A test file that cannot be loaded without an extra is skipped by name where that is not installed, by
what it imports: it says nothing about it. Inside a test ``pytest.importorskip`` says so.

A test that tries many things of one kind (configurations, jobs, reset positions, inputs) takes the
fixture ``tried`` and says how many: ``tried("reset", jobs=1, positions=717)``. Counts of the same
kind add up; ``make reliability`` runs the marked sweeps and prints them all, and with ``--record``
they go into the table of docs/reliability.md.
"""

from collections import defaultdict

import pytest

from tests.reach import is_quick, lacking
from tests.reliability import PAGE, recorded, rows

COUNTS = pytest.StashKey[dict]()


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="the tests of `make check`")
    parser.addoption("--record", action="store_true",
                     help="what the sweeps tried goes into docs/reliability.md")


def pytest_configure(config):
    config.stash[COUNTS] = defaultdict(lambda: defaultdict(int))


class Lacking(pytest.Module):
    """A test file that is not loaded, since an extra is not installed."""

    def collect(self):
        pytest.skip(f"{self.nodeid} needs the {lacking(self.path)} extra", allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    if module_path.name.startswith("test_") and lacking(module_path):
        return Lacking.from_parent(parent, path=module_path)
    return None


def pytest_collection_modifyitems(config, items):
    if not config.getoption("quick"):
        return
    seen, kept, dropped = set(), [], []
    for item in items:
        case = item.nodeid.partition("[")[0]
        first = case not in seen or not case.startswith("tests/gen")
        rule = item.get_closest_marker("structure") is not None
        keep = rule or (is_quick(item.path) and first)
        seen.add(case)
        (kept if keep else dropped).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


@pytest.fixture
def tried(request):
    """``tried(kind, **counts)``: add to what the sweeps of a kind have tried."""
    def count(kind: str, **counts: int):
        for what, number in counts.items():
            request.config.stash[COUNTS][kind][what] += number
    return count


def pytest_sessionfinish(session):
    """In a process of several: what it tried goes to the one that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tried"] = {
            kind: dict(each) for kind, each in session.config.stash[COUNTS].items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Add up what a process of several tried."""
    for kind, each in getattr(node, "workeroutput", {}).get("tried", {}).items():
        for what, number in each.items():
            node.config.stash[COUNTS][kind][what] += number


def pytest_terminal_summary(terminalreporter, config):
    counts = config.stash[COUNTS]
    if not counts:
        return
    terminalreporter.section("what the sweeps tried")
    for kind, each in rows(counts).items():
        terminalreporter.write_line(f"{kind:<32}  {each}")
    if config.getoption("record"):
        PAGE.write_text(recorded(counts), "utf-8")
