"""An export to read, to damage and to replace."""

import shutil
from pathlib import Path

import pytest

from sw.exported.writer import export
from tests.sw.exported import made


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
