"""The measurements of sw.studies.evaluate: each row against the same thing done by hand."""

import copy
import dataclasses

import pytest
import torch

from sw.lm import stages
from sw.lm.config import POINTS
from sw.lm.config_file import read_config
from sw.lm.data import load_corpus
from sw.lm.held_out import measure
from sw.lm.model import MaskedLM
from sw.nn import widths
from sw.quant.model import quantise_model
from sw.studies.compare import Bench, Plan

PLAN = Plan(points=("CTA-0",), directions=("projection",), rl=(0.8, 0.5), sizes=((4, 3, 16),),
            steps=3, batch=2, fit_steps=40, sequences=5, calibration=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model that has seen a few steps, so that its layers do something."""
    file = tmp_path_factory.mktemp("text") / "text.txt"
    file.write_text("".join(f"def f{i}(x):\n    return x + {i * i % 97}\n" for i in range(300)))
    cfg = read_config("tiny", ["model.d=64", "model.vocab=257"], [file])
    corpus = load_corpus(cfg.data, cfg.model.context)
    torch.manual_seed(0)
    model = MaskedLM(cfg.model)
    bench = Bench(model, cfg, corpus, dataclasses.replace(PLAN, steps=40, lr=3e-3))
    bench._fine_tune(model)
    return model, cfg, corpus


@pytest.fixture(scope="module")
def bench(trained):
    model, cfg, corpus = trained
    ticks, said = [], []
    bench = Bench(model, cfg, corpus, PLAN, said.append, lambda: ticks.append(1))
    before = copy.deepcopy(model.state_dict())
    bench.run()
    assert len(ticks) == bench.units()
    assert said == ["exact", "CTA-0 projection", "RL 0.8 projection", "RL 0.5 projection",
                    "h 4, tau 3, block 16"]
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    return bench


def row(bench, name, stage):
    found = [r for r in bench.rows if r.name == name and r.stage == stage]
    assert len(found) == 1
    return found[0]


def test_stages_of_every_variant(bench):
    stages_of = {}
    for r in bench.rows:
        stages_of.setdefault(r.name, []).append(r.stage)
    every = ["before", "after", "quantised"]
    assert stages_of == {"exact": every, "CTA-0": every, "RL 0.8": ["before"],
                         "RL 0.5": ["before"], "h 4, tau 3, block 16": every}


def test_exact_is_the_model_itself(bench, trained):
    model, *_ = trained
    score = measure(model, bench.held_out)
    r = row(bench, "exact", "before")
    assert (r.loss, r.accuracy, r.over, r.error, r.rl, r.ra) == (
        score.loss, score.accuracy, 0, 0, 1, 1)
    assert r.flop == 4 * 64 * 256
    assert row(bench, "exact", "after").loss < r.loss + 0.05


def test_cta_before_and_quantised_by_hand(bench, trained):
    model, cfg, corpus = trained
    base = measure(model, bench.held_out)
    model = copy.deepcopy(model)
    stages.use_cta(model, bench.calibration, {"counts": POINTS["CTA-0"]}, "projection")
    with stages.Ratios(model) as seen:
        score = measure(model, bench.held_out)
    r = row(bench, "CTA-0", "before")
    assert (r.loss, r.accuracy, (r.rl, r.ra)) == (score.loss, score.accuracy, seen.mean())
    assert (r.over, r.error) == score.over(base)
    bench = Bench(*trained, dataclasses.replace(PLAN, steps=0, rl=(), sizes=(),
                                                directions=("projection",)))
    bench.run()
    quantise_model(model, [bench.calibration])
    assert row(bench, "CTA-0", "quantised").loss == measure(model, bench.held_out).loss
    assert not [r for r in bench.rows if r.stage == "after"] and len(bench.rows) == bench.units()


def test_fine_tuning_ends_at_the_target(trained):
    model, cfg, corpus = trained
    bench = Bench(model, cfg, corpus, dataclasses.replace(PLAN, steps=8, lr=3e-2))
    model, bench._target = copy.deepcopy(model), {"counts": (0.4, 0.3, 0.05)}
    stages.use_cta(model, bench.calibration, bench._target)
    before = [layer.attention.heads.w.clone() for layer in model.layers]
    bench._fine_tune(model)
    with torch.no_grad():
        model(bench.calibration)
    for layer, old in zip(model.layers, before):
        counts = layer.attention.heads.counts.double().mean(0) / 64
        assert abs(counts - torch.tensor([0.4, 0.3, 0.05])).max() < 0.03
        assert (layer.attention.heads.w != old).all()


def test_curve_follows_its_targets(bench):
    for rl in (0.8, 0.5):
        assert abs(row(bench, f"RL {rl:g}", "before").rl - rl) < 0.08


def test_targets_out_of_reach_are_named(trained, monkeypatch):
    model, cfg, corpus = trained
    plan = dataclasses.replace(PLAN, points=(), rl=(0.8, 0.5), sizes=(), steps=0, quantised=False)
    bench = Bench(model, cfg, corpus, plan)
    calibrate = widths.calibrate

    def refuse(*args, rl, **more):
        if rl == 0.8:
            raise ValueError("level 1: too few")
        return calibrate(*args, rl=rl, **more)
    monkeypatch.setattr(widths, "calibrate", refuse)
    bench.run()
    assert [r.name for r in bench.rows] == ["exact", "RL 0.5"]
    assert bench.skipped == ["RL 0.8 projection: CTA: layers.0.attention.heads: level 1: too few"]


def test_tables_are_fitted_to_the_network(trained):
    model, cfg, corpus = trained
    bench = Bench(model, cfg, corpus, dataclasses.replace(PLAN, fit_steps=150))
    other = copy.deepcopy(model)
    bench._fit_tables(other, 8, 4, 16)
    layer, fitted = model.layers[0], other.layers[0].ffn
    assert fitted.flop < layer.ffn.flop and not layer.ffn._forward_pre_hooks
    with torch.no_grad():
        x = layer.norm2(model.embed(bench.calibration))
        y, z = layer.ffn(x), fitted(x)
        left = (y - z).var() / y.var()
    assert left < 0.8


def test_a_model_that_has_cta_is_scored_as_it_is(trained):
    model, cfg, corpus = trained
    model = copy.deepcopy(model)
    stages.use_cta(model, torch.arange(64)[None], {"rl": 0.6})
    plan = dataclasses.replace(PLAN, points=(), rl=(), sizes=(), steps=0, quantised=False)
    bench = Bench(model, cfg, corpus, plan)
    bench.run()
    assert [r.name for r in bench.rows] == ["exact", "as it is"] and bench.units() == 2
    assert bench.rows[1].loss == measure(model, bench.held_out).loss
    assert bench.rows[1].rl < 0.8 and bench.rows[0].rl == 1


