"""Writer and reader: what goes out comes back, and nothing half-done does."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from model.cta import layout as cta
from model.lookup import layout as lookup
from sw.exported import writer
from sw.exported.codec import ImageError
from sw.exported.layer import identical
from sw.exported.reader import read
from sw.exported.writer import export
from tests.sw.exported import made

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
                   for load in cta.weight_loads(source.cfg, head, layer["heads"][at]["set"])]
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
    made.rewrite(folder, change, seal=False)
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
