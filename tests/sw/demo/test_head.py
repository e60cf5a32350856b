"""Demo and bench on the models alone: tables, pictures, the formula of Table I."""

import json

import numpy as np
import pytest

from model.cta.config import CTAConfig
from model.cta.cost import OPERATING_POINTS, ideal_cycles, table1_cycles, useful_macs
from model.cta.cycles import head_cycles
from model.cta.job import Mode
from sw.demo import encoder as demo_encoder
from sw.demo import head as demo
from sw.demo import lookup as demo_lookup
from sw.demo.pictures import draw_schedule
from sw.run import layer_file
from sw.run.head_file import read_head

CFG = CTAConfig()


def test_shipped_head():
    head = read_head(demo.HEAD)
    assert head.xq.shape == (512, 64) and head.wq.shape == (64, 64)
    with np.load(demo.HEAD) as data:
        made_by = json.loads(str(data["meta"]))["made_by"]
    assert made_by == "python -m sw.lm.train --config demo_head -o RUN --head FILE --layer 0"
    assert demo.HEAD.stat().st_size < 400_000


def test_shipped_layer():
    real = layer_file.read_layer(demo_lookup.LAYER)
    cfg = layer_file.make_config(real, demo_lookup.ENGINE)
    assert (cfg.d, cfg.h, cfg.tau, cfg.block, len(real.x)) == (64, 16, 6, 16, 512)
    with np.load(demo_lookup.LAYER) as data, np.load(demo.HEAD) as other:
        meta, twin = (json.loads(str(file["meta"])) for file in (data, other))
    assert meta["made_by"] == "python -m sw.lm.train --config demo_lookup -o RUN --lookup FILE --layer 2"
    # Tables stand in for the usual network of the head's model, they do not spoil it.
    assert all(meta[key] == twin[key] for key in ("digest", "steps", "batch", "seed"))
    assert meta["held_out_loss"] < twin["held_out_loss"] + 0.1
    assert demo_lookup.LAYER.stat().st_size < 400_000


def test_demo_without_rtl(tmp_path, capsys):
    assert demo.main(["--rtl", "none", "--passages", "1", "-o", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for point in OPERATING_POINTS:
        row = next(line for line in lines if line.startswith(point.name + " ")).split()
        assert [int(v) for v in row[1:4]] == pytest.approx([point.k0, point.k1, point.k2], abs=2)
    orders = [line.split() for line in lines if line.startswith(("token-major", "table-major"))]
    assert [(row[3], row[4]) for row in orders] == [("32", "524,288"), ("32", "262,144")]
    assert all(float(row[5]) < 0.03 and row[-2:] == ["not", "run"] for row in orders)
    for name in ("attention.png", "compression.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_demo_of_the_encoder(tmp_path, capsys):
    """The shipped checkpoint, without RTL: what docs/results/demo.md says of it, roughly."""
    pytest.importorskip("torch", reason="needs the sw extra")
    assert demo_encoder.show(tmp_path, "none", passages=1) is False
    data = json.loads((tmp_path / "encoder.json").read_text())
    assert [row["part"] for row in data["layers"]] == ["attention", "ffn", "whole"] * 3
    for row in data["layers"]:
        assert row["torch equals golden"] and row["error against float"] < 0.15
        assert row["part"] == "whole" or row["error, clusters and rows forced"] < 0.03
        assert row["part"] != "attention" or 0.5 < row["RL"] < 0.7
    loss = {level: score["nats"] for level, score in data["loss"].items()}
    assert loss["CTA, float"] < 2 and abs(loss["quantised, torch"] - loss["CTA, float"]) < 0.05


def test_passages_are_checked(tmp_path, capsys):
    assert demo.main(["--rtl", "none", "--passages", "0", "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "sw.demo: passages is 0, must be at least 1\n"


@pytest.mark.parametrize("k0, k, cycles", [(322, 287, 33575), (272, 265, 27267), (200, 241, 20220)])
def test_table1_at_even_levels(k0, k, cycles):
    """The paper does not split k; with the levels even the formula was priced by hand."""
    assert table1_cycles(CFG, 512, k0, k // 2, -(-k // 2)) == pytest.approx(cycles, abs=1)


def test_ideal_and_useful():
    assert ideal_cycles(CFG, 512) == 77824
    assert sum(useful_macs(CFG, 512, 322, 258, 29).values()) == \
        (322 + 2 * 287) * 64**2 + 2 * 322 * 287 * 64 + 3 * 6 * 512 * 64


def test_schedule_picture(tmp_path):
    """Any schedule can be drawn: the shortest job, several slices, exact mode."""
    for at, (cfg, sizes, mode) in enumerate((
            (CTAConfig(b=2, d=8, n=2, l=1), (1, 1, 1, 1, 1), Mode.CTA),
            (CTAConfig(b=4, d=8, dw=24, n=40), (40, 30, 20, 15, 6), Mode.CTA),
            (CTAConfig(b=4, d=8, n=32), (9, 20, 0, 0, 0), Mode.EXACT))):
        result = head_cycles(cfg, *sizes, mode)
        path = tmp_path / f"{at}.png"
        draw_schedule(path, result.uses, result.total, "title")
        assert path.read_bytes().startswith(b"\x89PNG")
