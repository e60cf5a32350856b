"""Damaged, forged and foreign exports are refused, each with its message."""

import pytest

from model.cta.config import CTAConfig
from sw.exported.codec import ImageError
from sw.exported.reader import entries, read
from sw.exported.writer import export
from sw.io.errors import InputError
from tests.sw.exported import made


@pytest.mark.parametrize("at", [0, 5, -1])
@pytest.mark.parametrize("index", [0, 4])
def test_bit_flip(folder, index, at):
    entry = entries(folder)[index]
    data = bytearray((folder / entry.file).read_bytes())
    data[at] ^= 8
    (folder / entry.file).write_bytes(data)
    with pytest.raises(ImageError, match=rf"layer {entry.name}: {entry.file} does not have the "
                                         "hash that the manifest states"):
        read(folder)


def test_truncated_and_missing(folder):
    first, second = entries(folder)[:2]
    data = (folder / second.file).read_bytes()
    (folder / second.file).write_bytes(data[:-1])
    with pytest.raises(ImageError, match=rf"{second.file} has {len(data) - 1} bytes, must be "
                                         f"{len(data)}"):
        read(folder)
    (folder / first.file).unlink()
    with pytest.raises(ImageError, match=f"{first.file} cannot be read: No such file"):
        read(folder)
    (folder / first.file).mkdir()
    with pytest.raises(ImageError, match=f"{first.file} (has|cannot be read)"):
        read(folder)


def test_swapped_files(layers, tmp_path):
    """Two layers of the same engine: same sizes, same loads, other weights."""
    name = list(layers)[0]
    export({"a": layers[name], "b": made.layers(2)[name]}, tmp_path / "e")
    a, b = (tmp_path / "e" / entry.file for entry in entries(tmp_path / "e"))
    assert a.stat().st_size == b.stat().st_size
    spare = tmp_path / "spare"
    a.rename(spare)
    b.rename(a)
    spare.rename(b)
    with pytest.raises(ImageError, match="layer a: .* does not have the hash"):
        read(tmp_path / "e")


@pytest.mark.parametrize("at", [10, 900, -40])
def test_manifest_bit_flip(folder, at):
    path = folder / "manifest.json"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(ImageError):
        read(folder)


def test_changed_scale_is_seen(folder):
    """A number that would still be legal."""
    def change(data):
        data["layers"][4]["job"]["shift_y"] ^= 1
    made.rewrite(folder, change, seal=False)
    with pytest.raises(ImageError, match="manifest.json does not have the hash it states"):
        read(folder)


# -- schema ----------------------------------------------------------------------------------------

def setter(*path, to):
    def change(data):
        for key in path[:-1]:
            data = data[key]
        if to is KeyError:
            del data[path[-1]]
        else:
            data[path[-1]] = to
    return change


FIRST, FFN = ("layers", 0), ("layers", 4)
REFUSED = {
    "schema 2": (setter("schema", to=2), "has schema 2, this version reads 3$"),
    "schema 4": (setter("schema", to=4), "has schema 4, this version reads 3: written by a newer"),
    "schema '3'": (setter("schema", to="3"), "has schema '3', this version reads 3$"),
    "schema true": (setter("schema", to=True), "has schema True, this version reads 3$"),
    "no schema": (setter("schema", to=KeyError), "has schema None"),
    "format": (setter("format", to="other"), "not an export"),
    "unknown key": (setter("extra", to=1), "has the unknown key 'extra'"),
    "missing key": (setter("meta", to=KeyError), "lacks 'meta'"),
    "words": (setter("words", "cta", "load", 3, 1, to=15), "other words than this version's"),
    "no layers": (setter("layers", to=[]), "has no layers"),
    "layer is no object": (setter("layers", 0, to=3), "layer 0 has kind 3, must be one of cta, "),
    "kind": (setter(*FIRST, "kind", to="conv"), "layer 0 has kind 'conv', must be one of cta, "),
    "other kind": (setter(*FIRST, "kind", to="lookup"), "layer 0 lacks 'job'"),
    "layer key": (setter(*FIRST, "x", to=1), "layer 0 has the unknown key 'x'"),
    "layer lacks": (setter(*FIRST, "sha256", to=KeyError), "layer 0 lacks 'sha256'"),
    "parent": (setter(*FIRST, "file", to="../x.bin"), "file is '../x.bin', must be a plain name"),
    "absolute": (setter(*FIRST, "file", to="/etc/passwd"), "must be a plain name"),
    "hidden": (setter(*FIRST, "file", to=".x"), "must be a plain name"),
    "backslash": (setter(*FIRST, "file", to="a\\b"), "must be a plain name"),
    "itself": (setter(*FIRST, "file", to="manifest.json"), "must be a plain name"),
    "file type": (setter(*FIRST, "file", to=None), "file is None, must be str"),
    "name type": (setter(*FIRST, "name", to=1), "name is 1, must be str"),
    "same name": (setter(*FIRST, "name", to="blocks.0.ffn"), "'blocks.0.ffn' stands for several"),
    "digest": (setter(*FIRST, "digest", to="0" * 12), "digest is '000000000000', that of its"),
    "engine": (setter(*FIRST, "engine", "b", to=8), "digest is '.*', that of its engine is"),
    "illegal engine": (setter(*FIRST, "engine", "b", to=7), r"b is 7, must be one of \(2, 4"),
    "engine lacks": (setter(*FIRST, "engine", "l", to=KeyError), "engine does not spell out"),
    "engine key": (setter(*FIRST, "engine", "x", to=1), "config key 'x' is unknown"),
    "bytes": (setter(*FIRST, "bytes", to=7), r"has \d+ bytes, must be 7"),
    "bytes type": (setter(*FIRST, "bytes", to="7"), "bytes is '7', must be int"),
    "mode": (setter(*FIRST, "mode", to="fast"), "mode is 'fast', must be cta or exact"),
    "heads": (setter(*FIRST, "heads", to=[]), "there are 0 heads, must be 1..256"),
    "head key": (setter(*FIRST, "heads", 0, "x", to=1), "head 0 has the unknown key 'x'"),
    "points": (setter(*FIRST, "heads", 0, "points", "q", to=KeyError), "points of head 0 lacks 'q'"),
    "points agree": (setter(*FIRST, "heads", 0, "points", "q", to=50), "shifts.q is .* must be"),
    "shift": (setter(*FIRST, "heads", 0, "shifts", "s", to=99), "shift_s is 99, must be in 0..31"),
    "set": (setter(*FIRST, "heads", 0, "set", to=1), "heads of the manifest does not agree with"),
    "place": (setter(*FIRST, "heads", 0, "loads", 1, "offset", to=1), "heads of the manifest does"),
    "beat": (setter(*FIRST, "beat_bytes", to=1), "beat_bytes of the manifest does not agree with"),
    "job": (setter(*FFN, "job", "gain", to=KeyError), "job lacks 'gain'"),
    "job value": (setter(*FFN, "job", "gain", to=512), "gain is 512, must be in 0..511"),
    "job type": (setter(*FFN, "job", "gain", to="1"), "gain is '1', must be an integer"),
    "tables": (setter(*FFN, "tables", "offset", to=64), "tables of the manifest does not agree"),
    "no tables": (setter(*FFN, "tables", to=None), "tables of the manifest does not agree"),
    "loads": (setter(*FFN, "loads", to=[]), "loads of the manifest does not agree"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_forged_manifest(folder, name):
    change, message = REFUSED[name]
    made.rewrite(folder, change)
    with pytest.raises(ImageError, match=message) as caught:
        read(folder)
    assert isinstance(caught.value, InputError) and "\n" not in str(caught.value)


def test_mismatched_engine(folder):
    """A configuration that is legal, with its own digest, for an image of another engine."""
    def change(data):
        entry = data["layers"][1]
        entry["engine"]["dw"] = 16
        entry["digest"] = CTAConfig.from_dict(entry["engine"]).digest
    made.rewrite(folder, change)
    with pytest.raises(ImageError, match="is not an image of its engine: the load at byte"):
        read(folder)


@pytest.mark.parametrize("text, message", [
    ("", "is not JSON"), ("{", "is not JSON"), ("[]", "not an export"), ("\xff", "is not JSON"),
    ('{"format": 1, "format": 2}', "has a key twice"), ("[" * 100_000, "is not JSON"),
])
def test_manifest_that_is_none(folder, text, message):
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ImageError, match=message):
        read(folder)


def test_no_export(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ImageError, match="is not an export: it has no manifest.json"):
            read(path)
