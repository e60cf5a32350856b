"""Work counted from the sizes, against a count by hand; shares, and a picture that is drawn."""

import numpy as np
import pytest

from model.lookup.config import LookupConfig
from sw.kernels.peaks import Peaks
from sw.studies.bench import cpu, roofline
from sw.studies.bench.__main__ import main

PAPER = LookupConfig(d=512, h=128, tau=8, block=64)
PEAKS = Peaks(1e9, 2e9, {"L1": 8e9, "L2": 4e9, "L3": 2e9, "memory": 1e9}, 5e8)


def test_the_paper_s_size():
    """Two copies of four stages of 512 x 64 products: the 0.56 MFLOP of its Table 3 with the additions."""
    done = roofline.work(PAPER, 1, "integers")
    assert done.products == 2 * 4 * 512 * 64
    assert done.additions == 2 * 4 * 512 * 9
    assert done.sums == done.gathered == 128 * 512
    assert 0.55e6 < 2 * done.products + done.additions < 0.61e6
    floats = roofline.work(PAPER, 1, "kernel fp32")
    assert floats.gathered == 4 * 128 * 512 and floats.additions == 2 * 4 * 512 * 3


@pytest.mark.parametrize("tokens", [1, 3, 40])
def test_different_rows_are_those_of_random_codes(tokens):
    cfg = LookupConfig(d=16, h=8, tau=3, block=4)
    codes = np.random.default_rng(0).integers(8, size=(4000, 8, tokens))
    drawn = np.mean([len(np.unique(code)) for code in codes.reshape(-1, tokens)]) * 8 * 16
    assert roofline.work(cfg, tokens, "kernel int8").memory == pytest.approx(drawn, rel=0.01)
    assert roofline.work(cfg, 10**6, "kernel fp32").memory == pytest.approx(8 * 8 * 16 * 4)


def test_dense_and_neighbours():
    cfg = LookupConfig(d=16, h=8, tau=3, projection="dense", neighbours=True)
    done = roofline.work(cfg, 2, "kernel bf16")
    assert done.products == 2 * 16 * 24 and done.additions == 0
    assert done.gathered == 2 * 8 * 4 * 16 * 2 and done.sums == 2 * 8 * 4 * 16


ROW = {"tokens": 64, "threads": 1, "variant": "kernel fp32", "seconds_cpu": 1e-2, "seconds_hash": 5e-3,
       "seconds_gather": 4e-3}


def test_shares():
    found, done = roofline.shares(PAPER, ROW, PEAKS), roofline.work(PAPER, 64, "kernel fp32")
    assert found["hash_share"] == pytest.approx(done.products / 5e-3 / 1e9)
    assert found["gather_share_l2"] == pytest.approx(done.gathered / 4e-3 / 4e9)
    assert found["gather_share_l1"] == found["gather_share_l2"] / 2
    assert found["memory_share_rows"] == 2 * found["memory_share"] == pytest.approx(done.memory / 4e-3 / 5e8)
    words = roofline.shares(PAPER, ROW | {"variant": "integers"}, PEAKS)
    assert words["hash_share"] == found["hash_share"] / 2


def test_table_and_picture(tmp_path, capsys):
    rows = [ROW, ROW | {"variant": "integers"}, ROW | {"threads": 2}, ROW | {"variant": "torch fp32"}]
    roofline.show(PAPER, rows, PEAKS)
    lines = [each for each in capsys.readouterr().out.splitlines() if each.startswith("64 ")]
    assert len(lines) == 2 and "kernel fp32" in lines[0] and "integers" in lines[1]
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    roofline.draw(PAPER, rows, PEAKS, tmp_path / "a" / "roofline.png")
    assert (tmp_path / "a" / "roofline.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_nothing_is_measured(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(roofline, "find_spec", lambda name: None)
    monkeypatch.setattr(cpu, "run", None)
    assert main(["cpu", "--roofline", str(tmp_path / "a.png")]) == 2
    assert "the roofline needs matplotlib" in capsys.readouterr().err
