"""Synthesis: what an engine costs in the cells and memories of a technology."""

from importlib import util as _util
from pathlib import Path as _Path

# By its path: what it finds out is whether `import model` gives our own package.
_spec = _util.spec_from_file_location(
    "model.start", _Path(__file__).resolve().parents[1] / "model" / "start.py")
_start = _util.module_from_spec(_spec)
_spec.loader.exec_module(_start)
_start.begin(__name__)
