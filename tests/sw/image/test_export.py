"""Writer and reader: what goes out comes back, and nothing half-done, damaged or foreign does."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from model.cta import layout as cta
from model.cta.config import CTAConfig
from model.lookup import layout as lookup
from sw.image import manifest, writer
from sw.image.layer import identical
from sw.image.reader import entries, read
from sw.image.stream import ImageError
from sw.image.writer import export
from sw.npz_file import InputError
from tests.sw.image import made


@pytest.fixture(scope="module")
def layers():
    return made.layers()


@pytest.fixture(scope="module")
def original(layers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "export"
    export(layers, folder, meta={"made by": "a test", "loss": [1.5, None]})
    return folder


@pytest.fixture
def folder(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "export"))


def rewrite(folder, change, seal=True):
    """Change the manifest as a forger would: with the right hash, if ``seal``."""
    path = folder / manifest.FILE
    data = json.loads(path.read_text())
    change(data)
    if seal:
        data["sha256"] = manifest.sha256(manifest._canonical(data))
    path.write_text(json.dumps(data))


# -- round trip ------------------------------------------------------------------------------------

def test_round_trip(layers, folder):
    again = read(folder)
    assert list(again) == list(layers)
    assert all(identical(again[name], layers[name]) for name in layers)


def test_same_layers_same_bytes(layers, folder, tmp_path):
    export(read(folder), tmp_path / "b", meta={"made by": "a test", "loss": [1.5, None]})
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert all((folder / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
               for name in names)


def test_manifest_walks_without_this_package(folder, layers):
    """The loads by manifest and files alone are those of the drivers."""
    data = json.loads((folder / "manifest.json").read_text())
    assert data["meta"] == {"made by": "a test", "loss": [1.5, None]}
    for layer in data["layers"]:
        image, source = (folder / layer["file"]).read_bytes(), layers[layer["name"]]
        words = data["words"][layer["kind"]]
        if layer["kind"] == "cta":
            tables = [head["loads"] for head in layer["heads"]]
            due = [(load, list(cta.beats(source.cfg, load))) for at, head in enumerate(source.heads)
                   for load in cta.weight_loads(head, layer["heads"][at]["set"])]
        else:
            tables = [layer["loads"]]
            due = [(load, load.beats) for load in lookup.weight_loads(source.cfg, source.weights)]
        places = [place for table in tables for place in table]
        for place, (load, beats) in zip(places, due, strict=True):
            at, size = place["offset"] + layer["word_bytes"], layer["beat_bytes"]
            word, shift = int.from_bytes(image[place["offset"]:at], "little"), 0
            for field, width in words["load"]:
                value = place[field]
                value = words["targets"][value] if field == "target" else value
                assert word >> shift & (1 << width) - 1 == value
                shift += width
            assert words["targets"][place["target"]] == load.target and place["base"] == load.base
            end = place["offset"] + place["bytes"]
            assert [int.from_bytes(image[i:i + size], "little")
                    for i in range(at, end, size)] == beats


def test_layers_by_name(layers, tmp_path):
    name = list(layers)[2]
    export(layers, tmp_path / "e", layers=iter([name]))
    assert list(read(tmp_path / "e")) == [name]
    with pytest.raises(ImageError, match="layer 'nothing' is unknown, must be one of blocks"):
        export(layers, tmp_path / "f", layers=["nothing"])
    assert not (tmp_path / "f").exists()


def test_odd_names(layers, tmp_path):
    """Names of layers are anything; those of files are plain."""
    layer = next(iter(layers.values()))
    names = ["", "../../etc/passwd", "ä/ö", "x" * 400, "a.b", "a/b"]
    export({name: layer for name in names}, tmp_path / "e")
    assert list(read(tmp_path / "e")) == names
    assert {path.name for path in tmp_path.iterdir()} == {"e"}


class Module:
    """As much of a torch module as an export looks at."""

    def __init__(self, **modules):
        self.modules = modules

    def named_modules(self):
        return iter([("", self), *self.modules.items()])


def test_model(layers, tmp_path):
    fakes = {f"m{at}": SimpleNamespace(fake=SimpleNamespace(layer=lambda module, out=out: out))
             for at, out in enumerate(layers.values())}
    export(Module(**fakes, norm=SimpleNamespace()), tmp_path / "e")
    again = read(tmp_path / "e")
    assert list(again) == list(fakes)
    assert all(map(identical, again.values(), layers.values()))
    plain = Module(**fakes, last=SimpleNamespace(fake=None))
    with pytest.raises(ImageError, match="layer last is not quantised"):
        export(plain, tmp_path / "f")
    export(plain, tmp_path / "f", layers=["m0", "m3"])
    assert list(read(tmp_path / "f")) == ["m0", "m3"]
    with pytest.raises(ImageError, match="no CTA and no LookupFFN"):
        export(Module(norm=SimpleNamespace()), tmp_path / "g")
    with pytest.raises(ImageError, match="layer 'x' is NoneType, must be"):
        export({"x": None}, tmp_path / "g")


# -- all or nothing --------------------------------------------------------------------------------

def test_replaces_an_export(layers, folder):
    name = list(layers)[0]
    export({name: layers[name]}, folder)
    assert list(read(folder)) == [name]
    assert {path.name for path in folder.parent.iterdir()} == {"export"}
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("change", [lambda data: data.update(schema=7),
                                    lambda data: data.update(sha256="")])
def test_replaces_an_export_that_it_cannot_read(layers, folder, change):
    """Of another version, or damaged: what else should one do with it?"""
    rewrite(folder, change, seal=False)
    export(layers, folder)
    assert list(read(folder)) == list(layers)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "hashlayer export"}',
                                  '{"format": "hashlayer export", "layers": [1]}'])
def test_refuses_what_only_looks_like_an_export(layers, folder, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ImageError, match="is there and is not an export"):
        export(layers, folder)


def test_refuses_other_folders(layers, folder, tmp_path):
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ImageError, match="cannot be replaced: it also holds notes.txt"):
        export(layers, folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    with pytest.raises(ImageError, match="is there and is not an export"):
        export(layers, tmp_path / "other")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ImageError, match="exists and is not a folder"):
        export(layers, tmp_path / "file")
    (tmp_path / "empty").mkdir()
    export(layers, tmp_path / "empty")
    assert read(tmp_path / "empty")
    assert (tmp_path / "other" / "thesis.tex").exists() and (folder / "notes.txt").exists()


@pytest.mark.parametrize("stage", ["encode", "dump", "read", "_replace"])
def test_failure_leaves_the_old_one(stage, layers, folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, stage, broken)
    with pytest.raises(ImageError, match="cannot be written: No space left on device"):
        export({"one": next(iter(layers.values()))}, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert {path.name for path in folder.parent.iterdir()} == {"export"}


def test_failing_rename_puts_the_old_one_back(layers, folder, monkeypatch):
    real, calls = Path.rename, []

    def rename(self, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(ImageError, match="Input/output error"):
        export({"one": next(iter(layers.values()))}, folder)
    assert len(calls) == 3 and list(read(folder)) == list(layers)


def test_modes_follow_the_umask(layers, tmp_path):
    before = os.umask(0o027)
    try:
        export(layers, tmp_path / "e")
    finally:
        os.umask(before)
    assert (tmp_path / "e").stat().st_mode & 0o777 == 0o750


def test_meta_must_be_json(layers, tmp_path):
    for meta in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(ImageError, match="meta is not JSON"):
            export(layers, tmp_path / "e", meta=meta)
    assert not list(tmp_path.iterdir())


# -- damage ----------------------------------------------------------------------------------------

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
    rewrite(folder, change, seal=False)
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
    "schema 2": (setter("schema", to=2), "has schema 2, this version reads 1: written by a newer"),
    "schema '1'": (setter("schema", to="1"), "has schema '1', this version reads 1$"),
    "schema true": (setter("schema", to=True), "has schema True, this version reads 1$"),
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
    rewrite(folder, change)
    with pytest.raises(ImageError, match=message) as caught:
        read(folder)
    assert isinstance(caught.value, InputError) and "\n" not in str(caught.value)


def test_mismatched_engine(folder):
    """A configuration that is legal, with its own digest, for an image of another engine."""
    def change(data):
        entry = data["layers"][1]
        entry["engine"]["dw"] = 16
        entry["digest"] = CTAConfig.from_dict(entry["engine"]).digest
    rewrite(folder, change)
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
