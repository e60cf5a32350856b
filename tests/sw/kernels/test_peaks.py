"""The loops that measure the machine read what they say, and leave nothing out."""

import numpy as np
import pytest

from sw.kernels import peaks
from sw.kernels.build import VARIANTS, variant

KINDS = list(VARIANTS)[:list(VARIANTS).index(variant()) + 1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_is_read(kind):
    data = np.random.default_rng(0).integers(-1000, 1000, 1024, np.int32)
    for rounds in (1, 3):
        rate, total = peaks.read(data, rounds, kind)
        assert rate > 0 and total == data.sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ahead", [0, 3, 100])
def test_rows_are_read_in_any_order(kind, ahead):
    rng = np.random.default_rng(1)
    data, rows = rng.integers(-1000, 1000, (20, 32), np.int32), rng.integers(20, size=50, dtype=np.int32)
    rate, total = peaks.read_rows(data, rows, ahead, kind)
    assert rate > 0 and total == data[rows].sum()


def test_the_machine_is_measured(monkeypatch):
    monkeypatch.setattr(peaks, "SETS", {"L1": 4 << 10, "memory": 1 << 20})
    monkeypatch.setattr(peaks, "REPEATED", 1)
    found = peaks.measure()
    assert set(found.reads) == {"L1", "memory"}
    assert np.isfinite([found.floats, found.words, found.rows, *found.reads.values()]).all()
    assert min(found.floats, found.words, found.rows, *found.reads.values()) > 0
