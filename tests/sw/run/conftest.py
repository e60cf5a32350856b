"""The command on arrays of a test's own."""

import json

import numpy as np
import pytest

from sw.run import command


@pytest.fixture
def call_on(tmp_path, capsys):
    """Makes of an engine's name a function that writes a head or a layer and runs the command on it; that
    gives (status, outputs, report, stderr)."""
    file, out, rep = (tmp_path / name for name in ("input.npz", "out.npz", "report.json"))

    def of(engine):
        def call(arrays, *flags, backend="golden"):
            np.savez(file, **arrays)
            out.unlink(missing_ok=True)
            rep.unlink(missing_ok=True)
            try:
                status = command.main([engine, str(file), "--backend", backend, "-o", str(out),
                                       "--report", str(rep), *map(str, flags)])
            except SystemExit as stop:
                status = stop.code
            left = {p.name for p in tmp_path.iterdir()} - {file.name, "config.json"}
            assert left == ({out.name, rep.name} if status == 0 else set())
            outputs = dict(np.load(out)) if out.exists() else None
            return (status, outputs, json.loads(rep.read_text()) if rep.exists() else None,
                    capsys.readouterr().err)
        return call
    return of
