"""A kernel with one line of its source broken, for mutation tests."""

import shutil
from contextlib import contextmanager

from sw.kernels import build

__all__ = ["broken"]


@contextmanager
def broken(monkeypatch, folder, file: str, old: str, new: str):
    """Kernels are built in ``folder`` from copies of the sources, where ``old`` in ``file``, which stands
    there once, reads ``new``."""
    for path in (*build.HERE.glob("*.h"), *build.HERE.glob("*.cpp")):
        shutil.copy(path, folder)
    source = (folder / file).read_text()
    assert source.count(old) == 1, "the line that was to be broken is gone"
    (folder / file).write_text(source.replace(old, new))
    monkeypatch.setattr(build, "HERE", folder)
    monkeypatch.setenv("HASHLAYER_CACHE", str(folder / "cache"))
    build.load.cache_clear()
    try:
        yield
    finally:
        build.load.cache_clear()
