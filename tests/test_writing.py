"""Every file that a user keeps goes through ``model.files``: a rule over the sources."""

import ast
from pathlib import Path

import pytest

from sw.io.errors import InputError
from sw.io.writing import append_line, make_folder

pytestmark = pytest.mark.structure

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("model", "gen", "verif", "sw", "synth")
WRITERS = {"write_text", "write_bytes", "savefig", "savez", "savez_compressed", "save_file", "tofile",
           "savetxt"}
ALLOWED = {
    "model/files.py": "the writer itself",
    "sw/io/build_cache.py": "the lock of a scratch folder",
    "sw/sim/verilator.py": "sources in a scratch folder, which becomes the build in one step",
    "synth/picture.py": "a picture in memory, on its way to the writer",
    "sw/studies/bench/layer_picture.py": "a picture in memory, on its way to the writer",
    "synth/equivalence.py": "what Yosys reads, in a folder of its own",
    "synth/mapping.py": "what Yosys reads, in a temporary folder",
    "sw/sim/icarus.py": "a build, in a scratch folder that becomes the cache in one step",
    "sw/sim/engine.py": "the script of a run, in a temporary folder",
    "sw/sim/lookup.py": "the tables of a run, in a temporary folder",
    "sw/explore/store.py": "lines at the end of a file that several runs write, under its lock",
    "sw/io/plot.py": "a picture in memory, on its way to the writer",
    "sw/io/writing.py": "into the open file of the writer; a line at the end of a log",
}
"""Files that may write in another way, and what they write."""


def writes(path: Path):
    """Lines of a file that write: ``x.write_text`` and its like, and ``open`` with a mode to write.

    Functions of that name that come from our own modules are the writer.
    """
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        of = getattr(node.func, "value", None)
        if name in WRITERS and of is not None and getattr(of, "id", "") != "files":
            yield node.lineno
        if name == "open":
            modes = [a.value for a in [*node.args, *(k.value for k in node.keywords)]
                     if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if any(set(mode) <= set("rwaxbt+") and set(mode) & set("wax") for mode in modes):
                yield node.lineno


@pytest.mark.reliability
def test_no_file_writes_by_itself(tried):
    found = {}
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        lines = list(writes(path))
        if lines and name not in ALLOWED:
            found[name] = lines
    assert not found, f"write through model.files: {found}"
    tried("files", sources_checked=len(files))


FOLDERS = {"sw/io/writing.py": "make_folder itself",
           "sw/exported/writer.py": "names its refusal as one of an export"}


def test_no_command_makes_folders_by_itself():
    """``mkdir`` of the software goes through ``make_folder``, whose refusal is one line."""
    made = {path.relative_to(ROOT).as_posix() for path in (ROOT / "sw").rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
            and getattr(node.func, "attr", "") in ("mkdir", "makedirs")}
    assert made == set(FOLDERS)


def test_no_folder_and_no_log_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/x cannot be made: Not a directory"):
        make_folder(tmp_path / "file" / "x")
    with pytest.raises(InputError, match="none/log cannot be written: No such file"):
        append_line(tmp_path / "none" / "log", "{}")
    append_line(tmp_path / "log", "{}")
    append_line(tmp_path / "log", "[]")
    assert (tmp_path / "log").read_text() == "{}\n[]\n"


def test_what_is_allowed_is_needed():
    for name in ALLOWED:
        assert list(writes(ROOT / name)) or name == "model/files.py", name


def test_the_scan_sees_a_writer(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("path.write_text('x')\nopen(path, 'wb')\nnumpy.savez(path)\nopen(path)\n")
    assert list(writes(bad)) == [1, 2, 3]
