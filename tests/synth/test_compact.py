"""The compact library: small tables that are near the large ones, and the cells that are asked for."""

import gzip

import numpy as np
import pytest

from synth import compact
from synth.liberty import LibertyError, parse
from synth.technology import technology


def test_a_table_that_three_knots_can_hold_is_held():
    x, y = np.array([0.01, 0.05, 0.2, 0.6, 1.5]), np.array([1.0, 3.0, 9.0, 30.0, 200.0])
    kinked = np.interp(x, [0.01, 0.2, 1.5], [1.0, 3.0, 4.0])[:, None] * np.interp(y, [1, 9, 200], [1, 2, 9.0])
    rows, columns, small = compact.fitted(x, y, kinked)
    assert list(rows) == [0.01, 0.2, 1.5] and list(columns) == [1, 9, 200]
    np.testing.assert_allclose(small, np.outer([1, 3, 4], [1, 2, 9]), rtol=1e-9)


def test_a_small_table_is_kept():
    rows, columns, small = compact.fitted(np.array([1.0, 2.0]), np.array([3.0]), np.array([[5.0], [6.0]]))
    assert list(rows) == [1, 2] and list(columns) == [3]
    np.testing.assert_allclose(small, [[5], [6]])


def test_a_library_without_the_cells_is_refused(tmp_path, capsys):
    with pytest.raises(LibertyError, match="library 'x' has no cell sky130_fd_sc_hd__inv_1"):
        compact.compact(parse("library (x) { }"))
    (tmp_path / "x.lib.gz").write_bytes(gzip.compress(b"library (x) { }"))
    assert compact.main([str(tmp_path / "x.lib.gz"), "-o", str(tmp_path / "out.lib")]) == 2
    assert capsys.readouterr().err == "synth.compact: library 'x' has no cell sky130_fd_sc_hd__inv_1\n"
    assert not (tmp_path / "out.lib").exists()


def test_the_shipped_one_is_of_the_cells_that_are_listed():
    chosen = technology("sky130")
    assert list(chosen.library.cells) == list(compact.CELLS) and 40 <= len(compact.CELLS) <= 80
    assert "SPDX-License-Identifier: Apache-2.0" in chosen.liberty and "SkyWater" in chosen.liberty
