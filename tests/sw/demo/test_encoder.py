"""The encoder of the demo, small: four levels, equal to the bit on a layer that was trained."""

import builtins
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model.cta.job import Mode
from sw.demo import encoder as demo_encoder
from sw.exported import hooks as engine
from sw.exported.reader import read
from sw.lm import checkpoint, data
from sw.lm.config import DataConfig, ModelConfig, RunConfig, TrainConfig
from sw.lm.model import MaskedLM
from sw.lm.tokens import ByteTokens
from sw.nn.attachment import attention_layers

# Dimensions and engines of "wide" and "plain" in tests/rtl: simulators that are there already.
MODEL = ModelConfig(
    d=16, heads=2, layers=2, context=24, vocab=257, attention="cta", dropout=0.0, ffn="lookup",
    ffn_options={"h": 4, "tau": 3, "block": 4}, attention_options={"l": 4}, positions="waves",
    head="linear", init=0.5)
RUN = RunConfig(MODEL, DataConfig(), TrainConfig(steps=40, batch=8, warmup=0))
ENGINES = {"attention": {"b": 16, "n": 33, "pag": 8, "digit": 1},
           "ffn": {"multipliers": 8, "lanes": 8, "batch": 3}}


@pytest.fixture(scope="module")
def stream():
    """Some text."""
    return ByteTokens().encode(Path(__file__).read_bytes())


@pytest.fixture(scope="module")
def folder(stream, tmp_path_factory):
    """A checkpoint after a few steps of training."""
    torch.manual_seed(0)
    model, tokens = MaskedLM(MODEL), ByteTokens()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(RUN.train.steps):
        masked = data.sample(stream, tokens, 24, 0.15, 0, step, range(8))
        logits = model(torch.from_numpy(masked.ids), torch.from_numpy(masked.where))
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(masked.target).flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 4, "nothing was learnt"
    for layer in model.layers:
        layer.attention.heads.w *= 1.5         # some clusters
    where = tmp_path_factory.mktemp("checkpoint")
    checkpoint.save_model(where, model, RUN, tokens, step=RUN.train.steps, meta={})
    return where


@pytest.fixture
def show(folder, stream, tmp_path, monkeypatch, capsys):
    """Run it; gives (failed, report, what was printed)."""
    monkeypatch.setattr(demo_encoder, "ENGINES", ENGINES)
    monkeypatch.setattr(data, "load_corpus", lambda cfg, context, tokens: data.Corpus(
        tokens, stream, stream[:500], "this file", len(stream), ""))

    def show(simulate):
        failed = demo_encoder.show(tmp_path, simulate, folder, 3)
        return (failed, json.loads((tmp_path / "encoder.json").read_text()),
                capsys.readouterr().out)
    return show


def check(report, out, rtl):
    rows = {row["name"]: row for row in report["layers"]}
    assert list(rows) == [f"layers.{at}{part}" for at in (0, 1)
                          for part in (".attention.heads", ".ffn", "")]
    assert all(row["torch equals golden"] for row in rows.values())
    assert {name: row["rtl equals golden"] for name, row in rows.items()} == rtl
    for row in rows.values():
        assert 0 < row["error against float"] < 0.5
    attention = rows["layers.0.attention.heads"]
    k0, k1, k2 = attention["k"]
    assert attention["RL"] == (k0 + 2 * (k1 + k2)) / 72 and attention["jobs"] == 2
    assert report["passage_cycles"] == sum(row["cycles"] or 0 for row in rows.values())
    loss = report["loss"]
    assert list(loss) == ["exact attention, float", "CTA, float", "quantised, torch",
                          "on the engines, golden"]
    assert loss["quantised, torch"]["nats"] == loss["on the engines, golden"]["nats"]
    assert loss["CTA, float"]["nats"] != loss["exact attention, float"]["nats"]
    for text in ("0 attention", "1 LookupFFN", "1 whole layer", "CTA, float"):
        assert text in out


def test_without_rtl(show, tmp_path):
    failed, report, out = show("none")
    assert not failed
    check(report, out, dict.fromkeys(row["name"] for row in report["layers"]))
    assert (tmp_path / "encoder.png").read_bytes().startswith(b"\x89PNG")
    layers = read(tmp_path / "encoder")
    assert len(layers) == 4 and layers["layers.1.attention.heads"].mode == Mode.CTA
    assert "rtl" not in report and "not run" in out


@pytest.mark.parametrize("simulate", ["all", "one"])
def test_four_levels(show, simulate):
    """Trained layers: fake quantisation in torch = golden model = RTL, in every output."""
    pytest.importorskip("amaranth", reason="needs the rtl extra")
    failed, report, out = show(simulate)
    assert not failed
    first = ("layers.0.attention.heads", "layers.0.ffn")
    check(report, out, {row["name"]: True if simulate == "all" or row["name"] in first else None
                        for row in report["layers"]})
    assert report["rtl"]["loss of the first passage"] == report["rtl"]["golden"]


def test_cycles_are_those_of_the_first_passage(show):
    pytest.importorskip("amaranth", reason="needs the rtl extra")
    golden, rtl = (show(simulate)[1]["layers"] for simulate in ("none", "all"))
    assert [row["cycles"] for row in golden if row["part"] == "attention"] == \
        [row["cycles"] for row in rtl if row["part"] == "attention"]


def test_a_difference_is_told(show, monkeypatch):
    """One unit in one output of the golden model: the demo fails, and the layer is named."""
    real = engine.run_ffn

    def wrong(*args, **kwargs):
        result = real(*args, **kwargs)
        result.y = result.y.copy()
        result.y[0, 0] += 1
        return result

    monkeypatch.setattr(engine, "run_ffn", wrong)
    failed, report, out = show("none")
    assert failed and "DIFFERS" in out
    told = {row["name"]: row["torch equals golden"] for row in report["layers"]}
    assert told["layers.0.attention.heads"] and not told["layers.0.ffn"]


def test_exact_layers(show, folder, monkeypatch):
    """A checkpoint may have exact attention in some layers: their engine is the exact mode."""
    real = checkpoint.load

    def load(where):
        model, run = real(where)
        attention_layers(model)["layers.1.attention.heads"].mode = "exact"
        return model, run

    monkeypatch.setattr(checkpoint, "load", load)
    failed, report, _ = show("none")
    row = next(row for row in report["layers"] if row["name"] == "layers.1.attention.heads")
    assert not failed and row["k"] == [24, 24, 0] and row["RL"] == row["RA"] == 1


def test_without_torch(monkeypatch, tmp_path, capsys):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "torch":
            raise ImportError(name="torch")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert demo_encoder.show(tmp_path) is False
    assert capsys.readouterr().out == ("encoder: left out, it needs torch, which `make setup` "
                                       "installs (extra sw)\n")
    assert not list(tmp_path.iterdir())


def test_rows_are_in_the_order_of_the_model():
    names = ["layers.10", "layers.2.ffn", "layers.2", "layers.2.attention.heads", "layers.10.ffn"]
    assert sorted(names, key=demo_encoder._place) == [
        "layers.2.attention.heads", "layers.2.ffn", "layers.2", "layers.10.ffn", "layers.10"]


def test_recorded_inputs_are_the_first():
    module = torch.nn.Identity()
    with demo_encoder._recorded({"m": module}) as seen:
        for value in (1.0, 2.0):
            module(torch.tensor([value]))
    assert seen["m"]["inputs"][0] == 1 and np.array_equal(seen["m"]["outputs"], [[1], [2]])
