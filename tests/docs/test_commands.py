"""Every command of README, CONTRIBUTING and docs runs here, or says how long it takes."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from docs.site.commands import ROOT, commands, inline

pytest.importorskip("amaranth", reason="needs the rtl extra")

FOUND = commands()
RUN = [command for command in FOUND if command.time is None]
# What its reader has to bring or to have made, before the command can run.
OWN = re.compile(r"\b(?:FOLDER|MINILM|NAME|FILE|export/|runs/|books/|head\.npz|layer\.npz|x\.npz)")
TIMED = [
    command
    for command in FOUND
    if command.time
    and command.time.endswith(" s")
    and command.words.startswith("python -m")
    and not OWN.search(command.words)
]


def name(command):
    return f"{command.page}:{command.line}"


def run(words: str, folder) -> subprocess.CompletedProcess:
    """The command as it stands, in the checkout; what it writes goes to ``folder``."""
    words = re.sub(r"^python\b", f"'{sys.executable}'", words)
    words = re.sub(
        r"(?<=[ ])(?:build/)?([\w.-]+\.(?:v|json|npz|svg|vcd))\b(?=$| )", f"'{folder}'/\\1", words
    )
    return subprocess.run(
        words,
        shell=True,
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def check(command, folder):
    done = run(command.words, folder)
    assert done.returncode == 0, f"{command.words}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"


@pytest.mark.parametrize("command", RUN, ids=name)
def test_a_command_without_a_time_runs(command, tmp_path):
    if "docs.site.waves" in command.words:
        pytest.importorskip("wavedrom", reason="needs the docs extra")
    check(command, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("command", TIMED, ids=name)
def test_a_command_of_seconds_runs(command, tmp_path):
    if "sw.studies.toy" in command.words:
        pytest.importorskip("torch", reason="needs the sw extra")
    check(command, tmp_path)


def test_commands_are_found():
    assert len(FOUND) > 50 and len(RUN) >= 6 and len(TIMED) >= 4
    assert {command.page for command in FOUND} >= {
        "README.md",
        "CONTRIBUTING.md",
        "docs/start/engine.md",
        "docs/results/demo.md",
    }


def test_what_would_take_long_is_not_run_for_want_of_a_time():
    """Commands that train, or need what is not here, have a time."""
    assert [
        command for command in RUN if OWN.search(command.words) or "make" in command.words
    ] == []


def runs(module: str) -> bool:
    """Whether ``python -m module`` finds something to run."""
    try:
        spec = importlib.util.find_spec(module)
        return spec is not None and (
            spec.submodule_search_locations is None
            or importlib.util.find_spec(module + ".__main__") is not None
        )
    except ModuleNotFoundError:
        return False


def test_every_module_that_a_text_names_can_be_run():
    """CHANGELOG.md tells of modules that were."""
    assert {
        (page, module) for page, module in inline() if page != "CHANGELOG.md" and not runs(module)
    } == set()
    assert not runs("sw.accounting") and not runs("gen.blocks") and runs("gen.cta")


@pytest.mark.parametrize(
    "text, words, time",
    [
        ("A\n\n    make demo    # 2 min\n", "make demo", "2 min"),
        ("A\n\n    python -m a \\\n        --b 1\n", "python -m a --b 1", None),
        ("```sh\n$ hashlayer emit  # over 3 h\n```\n", "hashlayer emit", "3 h"),
    ],
)
def test_the_scan_sees_a_command(tmp_path, text, words, time):
    (tmp_path / "a.md").write_text(text)
    (command,) = commands(tmp_path)
    assert (command.words, command.time) == (words, time)
