"""Every command: help without computing, Ctrl-C in a line, a closed pipe, any name on any terminal."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from gen.engines import ENGINES
from sw.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent
NEEDS_TORCH = ("sw.lm.train", "sw.studies.evaluate", "sw.quant", "sw.studies.pretrained", "sw.studies.toy",
               "sw.demo")
GENERATORS = sorted(f"gen.{name}" for name in ENGINES)
MODULES = sorted({module.removesuffix(".__main__") for module, _ in COMMANDS.values()} | set(GENERATORS))


def command(*words, cwd=ROOT, **more):
    return subprocess.run([sys.executable, "-m", *map(str, words)], cwd=cwd, text=True,
                          capture_output=True, **more)


def needs(module):
    if module.startswith(NEEDS_TORCH):
        pytest.importorskip("torch", reason="the sw extra is not installed")


def entry_points():
    """Modules of ours that are commands: those with a part for ``python -m``."""
    for package in ("gen", "model", "verif", "sw", "synth"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
                   for node in ast.parse(path.read_text()).body):
                yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_every_module_with_a_command_is_one_of_hashlayer():
    """Or that of one generator, which ``hashlayer emit`` names."""
    own = {module.removesuffix(".__main__") for module in entry_points()}
    assert own == set(MODULES)


@pytest.mark.reliability
@pytest.mark.parametrize("module", MODULES)
def test_help_does_not_compute(module, tried):
    needs(module)
    before = time.monotonic()
    run = command(module, "--help", timeout=60)
    assert run.returncode == 0 and run.stdout.startswith("usage: ") and run.stderr == "", run.stderr
    assert time.monotonic() - before < 30
    tried("commands", helps=1)


LONG = {
    "gen.cta": ["--b=32", "--d=128", "--n=2048"],
    "gen.lookup": ["--d=2048", "--multipliers=4096"],
    "sw.studies.numerics": ["cta"],
    "synth": ["cta", "--b=4", "--d=16", "--n=24"],
    "sw.explore": [str(ROOT / "sw" / "explore" / "spaces" / "minilm.toml"), "--report=x.html",
                   "--results=x.parquet", "--workers=2"],
    "sw.sim.lint": [], "sw.studies.toy": [], "sw.studies.rules": [],
    "sw.studies.bench": [], "verif.runner": ["cta"],
}
"""Commands that take a while, as they are given."""


def interrupt(words, cwd, after):
    """Status and last words of a command that Ctrl-C ends ``after`` seconds after its start."""
    child = subprocess.Popen([sys.executable, "-m", *words], cwd=cwd, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True)
    try:
        child.communicate(timeout=after)
        return None
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGINT)
        try:
            out, err = child.communicate(timeout=40)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            raise
    return child.returncode, out, err


@pytest.mark.reliability
@pytest.mark.parametrize("after", [0.4, pytest.param(1.0, marks=pytest.mark.nightly), 2.5])
@pytest.mark.parametrize("module", LONG)
def test_ctrl_c_is_a_line(module, after, tmp_path, tried, monkeypatch):
    """While modules are imported, and while the command is at work."""
    needs(module)
    monkeypatch.setenv("HASHLAYER_CACHE", str(tmp_path / "cache"))
    ended = interrupt([module, *LONG[module]], tmp_path, after)
    if ended is None:
        return                       # it was done by then
    status, _, err = ended
    said = [line for line in err.splitlines() if line.strip()]
    assert status in (-signal.SIGINT, 130), (status, err)
    assert "Traceback" not in err and len(said) <= 1, err
    tried("commands", interrupts=1)


@pytest.mark.parametrize("words", [["gen.cta", "--b=2", "--d=8", "--n=8"], ["verif.runner", "--list"],
                                   ["sw.run", "cta", "--help"]])
def test_a_closed_pipe_is_silent(words):
    """The reader has gone before the first line."""
    read, write = os.pipe()
    os.close(read)
    run = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, stdout=write, text=True,
                         stderr=subprocess.PIPE)
    os.close(write)
    assert run.stderr == "" and run.returncode in (0, 128 + signal.SIGPIPE)


@pytest.mark.parametrize("words, text", [
    (["verif.runner", "pe", "--config", "99"], "config is 99, must be in 0..2 for bench pe"),
    (["verif.runner", "--config", "99"], "config is 99, which no bench has"),
    (["verif.runner", "--config", "-1"], "config is -1, must be in 0.."),
    (["verif.runner", "nothing"], "bench is 'nothing', must be one of")])
def test_a_selection_of_nothing_is_an_error(words, text):
    run = command(*words)
    assert run.returncode == 2 and text in run.stderr and "Traceback" not in run.stderr


@pytest.mark.reliability
@pytest.mark.parametrize("name", ["model.py", "model/__init__.py", "verif.py", "gen.py", "sw2.py"])
def test_files_of_ones_own(name, tmp_path, tried):
    """What hides a package of ours is named, and not run; the way out works."""
    own = tmp_path / name
    own.parent.mkdir(exist_ok=True)
    own.write_text("print('this was run')\n")
    hidden = name.partition("/")[0].removesuffix(".py")
    for words in (["-m", "sw.run", "--help"], ["-m", "verif.runner", "--list"], ["-c", "import sw"],
                  ["-m", "gen.cta", "--help"]):
        if words[1].startswith(hidden):
            continue                 # Python runs the user's file, and none of ours
        run = subprocess.run([sys.executable, *words], cwd=tmp_path, text=True, capture_output=True,
                             env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"})
        assert "this was run" not in run.stdout
        if hidden == "sw2":
            assert run.returncode == 0, run.stderr
            continue
        assert run.returncode == 1 and run.stderr.count("\n") == 1, run.stderr
        assert f"hides hashlayer's package '{hidden}'" in run.stderr
        assert str(tmp_path / hidden) in run.stderr and "hashlayer`" in run.stderr
        tried("commands", shadowed=1)


def test_hashlayer_works_beside_files_of_ones_own(tmp_path):
    """As the installed script starts it: its own folder first, not the current one."""
    for name in ("model.py", "gen.py", "verif.py", "sw.py"):
        (tmp_path / name).write_text("raise SystemExit('this was run')\n")
    script = tmp_path / "bin" / "hashlayer"
    script.parent.mkdir()
    script.write_text("import sys; from sw.cli import main; sys.exit(main())\n")
    for words in (["--help"], ["emit", "cta", "--b=2", "--d=8", "--n=8", "-o", "a.v"],
                  ["run", "cta", "--help"], ["sim", "--list"]):
        run = subprocess.run([sys.executable, script, *words], cwd=tmp_path, text=True,
                             capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
        assert run.returncode == 0, run.stderr
    assert (tmp_path / "a.v").is_file()


def test_hashlayer(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in COMMANDS)
    assert main(["nothing"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("hashlayer: 'nothing' is no command") and err.count("\n") == 1
    with pytest.raises(SystemExit) as ended:
        main(["emit", "nothing"])
    err = capsys.readouterr().err
    assert ended.value.code == 2 and "'nothing' (choose from 'cta', 'lookup')" in err and err.count("\n") == 1
    for module, _ in COMMANDS.values():
        needs(module.removesuffix(".__main__"))
        assert callable(import_module(module).main), module


@pytest.mark.parametrize("words", [[word] for word in COMMANDS] + [["emit", name] for name in ENGINES],
                         ids=" ".join)
def test_every_command_answers_alike(words, capsys, monkeypatch):
    """Help starts with the usage and ends in 0; a flag that is none is a line and ends in 2."""
    needs(COMMANDS[words[0]][0].removesuffix(".__main__"))
    monkeypatch.setattr(sys, "argv", ["hashlayer"])
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    out, err = capsys.readouterr()
    assert ended.value.code == 0 and out.startswith("usage: ") and err == ""
    assert "-h, --help" in out
    with pytest.raises(SystemExit) as ended:
        main([*words, "--no-such-flag"])
    out, err = capsys.readouterr()
    assert ended.value.code == 2 and out == "" and err.count("\n") == 1, err
    assert re.match(r"[\w.]+( \w+)*: ", err), err


@pytest.mark.parametrize("words, hint", [
    (["exprt"], "did you mean 'export'?"), (["zzz"], "must be one of emit, synth, ")])
def test_a_word_that_is_nearly_a_command(words, hint, capsys):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert hint in err and err.count("\n") == 1


def test_a_missing_package_is_named(capsys, monkeypatch):
    """With an extra left out."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("amaranth", "gen")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "amaranth", None)
    assert main(["emit", "cta"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("hashlayer emit: needs amaranth") and err.count("\n") == 1


def test_any_name_on_any_terminal(tmp_path):
    """A name that the encoding lacks is shown in another way."""
    env = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii",
                        "PYTHONCOERCECLOCALE": "0"}
    run = subprocess.run([sys.executable, "-m", "sw.run", "cta", "naïve.npz", "-o", "x.npz"], cwd=ROOT,
                         capture_output=True, env=env)
    assert run.returncode == 2 and b"na\\udcc3\\udcafve.npz does not" in run.stderr, run.stderr
