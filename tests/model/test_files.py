"""A file is written whole or not at all, and a failure names it."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from model.files import FileError, json_text, write_bytes, write_json, write_text, writing


def test_content_and_permissions(tmp_path):
    path = tmp_path / "naïve name.txt"
    mask = os.umask(0o027)
    try:
        write_text(path, "é\n")
    finally:
        os.umask(mask)
    assert path.read_bytes() == "é\n".encode()
    assert path.stat().st_mode & 0o777 == 0o640
    path.chmod(0o600)
    write_text(path, "again")
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"


def test_devices_are_written_straight():
    write_bytes("/dev/null", b"gone")
    assert not os.path.isfile("/dev/null")


@pytest.mark.reliability
@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), OSError(28, "full")])
def test_a_failed_write_leaves_the_old_file(tmp_path, failure, tried):
    path = tmp_path / "kept"
    path.write_text("yesterday")
    with pytest.raises(FileError if isinstance(failure, OSError) else type(failure)):
        with writing(path) as file:
            file.write(b"half")
            raise failure
    assert path.read_text() == "yesterday" and list(tmp_path.iterdir()) == [path]
    tried("files", failures=1)


@pytest.mark.reliability
def test_a_full_disk_names_the_file(tmp_path, tried):
    """The limit on the size of a file stands for a full disk: write fails with an OSError."""
    path = tmp_path / "kept"
    path.write_text("yesterday")
    code = ("import sys; from model.files import *\n"
            "try: write_bytes(sys.argv[1], bytes(1 << 20))\n"
            "except FileError as error: sys.exit(str(error))")

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

    run = subprocess.run([sys.executable, "-c", code, path], preexec_fn=limit, text=True,
                         capture_output=True)
    assert run.returncode == 1 and run.stderr == f"{path} cannot be written: File too large\n"
    assert path.read_text() == "yesterday" and list(tmp_path.iterdir()) == [path]
    tried("files", failures=1)


def test_the_reason_stands_alone_too(tmp_path):
    """Who names another file to the user (an export its folder) has the system's reason."""
    with pytest.raises(FileError) as caught:
        write_text(tmp_path / "none" / "file", "x")
    assert caught.value.strerror == "No such file or directory"
    assert str(caught.value).endswith(f"cannot be written: {caught.value.strerror}")


@pytest.mark.parametrize("where, reason", [("none/file", "No such file"), (".", "it is a folder")])
def test_no_place(tmp_path, where, reason):
    with pytest.raises(FileError, match=f"cannot be written: {reason}"):
        write_text(tmp_path / where, "x")
    assert not list(tmp_path.iterdir())


def test_json_is_json(tmp_path):
    write_json(tmp_path / "a.json", {"a": None})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": null\n}\n'
    with pytest.raises(ValueError):
        json_text({"a": float("nan")})
