"""Configurations: defaults of the paper, ranges, presets, settings of the command line."""

import json

import pytest

pytest.importorskip("torch", reason="needs the sw extra")

from model.errors import ConfigError
from sw.io.errors import InputError
from sw.lm.config import POINTS, ModelConfig, RunConfig, TrainConfig
from sw.lm.config_file import PRESETS, config_from_dict, read_config


def test_defaults_are_the_papers_recipe():
    cfg = RunConfig()
    assert (cfg.model.d, cfg.model.heads, cfg.model.layers, cfg.model.context) == (512, 8, 4, 512)
    t = cfg.train
    assert (t.lr, t.betas, t.eps, t.weight_decay, t.warmup) == (1e-4, (0.9, 0.98), 1e-6, 0.01, 10_000)
    assert (t.steps, t.batch, cfg.model.dropout, cfg.data.mask) == (250_000, 256, 0.1, 0.15)
    assert POINTS["CTA-0"] == (322 / 512, 258 / 512, 29 / 512)


@pytest.mark.parametrize("preset", sorted(p.stem for p in PRESETS.glob("*.toml")))
def test_presets_are_legal_and_survive_json(preset):
    cfg = read_config(preset)
    assert config_from_dict(json.loads(json.dumps(cfg.to_dict()))) == cfg


def test_the_paper_preset_is_the_default_with_lookup_ffn():
    cfg = read_config("paper")
    assert cfg.train == TrainConfig()
    assert cfg.model == ModelConfig(ffn="lookup", ffn_options={"h": 128, "tau": 8, "block": 64})


@pytest.mark.parametrize("data, message", [
    ({"model": {"heads": 3}}, "model.d is 512, must be a multiple of heads = 3"),
    ({"model": {"layers": 0}}, "model.layers is 0, must be in 1..64"),
    ({"model": {"layers": 2.0}}, "model.layers is 2.0, must be of type int"),
    ({"model": {"layers": True}}, "model.layers is True, must be of type int"),
    ({"model": {"ffn": "mlp"}}, "model.ffn is 'mlp', must be one of vanilla"),
    ({"model": {"stem": 4}}, "model.stem is 4, must be 0, or odd"),
    ({"model": {"d": 9, "heads": 3, "positions": "waves"}}, "'learned' where d is odd"),
    ({"data": {"tokens": "words"}}, "data.tokens is 'words', must be one of bytes, bpe, wordpiece"),
    ({"data": {"held_out": 0}}, "data.held_out is 0.0, must be in (0, 0.5]"),
    ({"train": {"betas": [0.9]}}, "train.betas is [0.9], must be 2 numbers"),
    ({"train": {"betas": [0.9, 1]}}, "train.betas is (0.9, 1.0), must be in [0, 1)"),
    ({"train": {"lr": "fast"}}, "train.lr is 'fast', must be of type float"),
    ({"train": {"stepz": 1}}, "train.stepz is unknown, must be one of steps"),
    ({"trian": {}}, "section [trian] is unknown, must be one of model, data, train, cta"),
    ({"train": 5}, "train is 5, must be a section"),
    ({"cta": {"rl": 0.5}}, "cta.rl is 0.5, must be 0 where cta.point is given"),
    ({"cta": {"point": ""}}, "cta.rl is 0.0, must be 0 where cta.point is given, above 0 where"),
    ({"cta": {"layers": [4]}}, "cta.layers is (4,), must be below model.layers = 4"),
])
def test_refusals_name_key_value_and_range(data, message):
    with pytest.raises(ConfigError) as error:
        config_from_dict(data)
    assert message in str(error.value)


def test_settings_go_over_the_file(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('[model]\nffn = "lookup"\nffn_options = { h = 8 }\n[train]\nsteps = 9\n')
    cfg = read_config(file, ["train.steps=7", "model.ffn_options.h = 4", "model.ffn_options.tau=3",
                             "data.tokens=bpe", "cta.point=", "cta.rl=0.5", "train.betas=[0, 0.5]"],
                      ["a", "b"])
    assert cfg.train.steps == 7 and cfg.train.betas == (0.0, 0.5)
    assert cfg.model.ffn_options == {"h": 4, "tau": 3}
    assert cfg.data.tokens == "bpe" and cfg.data.text == ("a", "b")
    assert cfg.cta.target == {"rl": 0.5}
    assert RunConfig().cta.target == {"counts": POINTS["CTA-0"]}


@pytest.mark.parametrize("setting, message", [
    ("steps=3", "must be section.key=value"),
    ("train.steps", "must be section.key=value"),
    ("train.steps.x=3", "inside of a value"),
])
def test_malformed_settings(setting, message):
    with pytest.raises(InputError, match=message):
        read_config(None, [setting], base={"train": {"steps": 5}})


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match="does not exist, nor is it one of the presets"):
        read_config(tmp_path / "no.toml")
    (tmp_path / "bad.toml").write_text("[model\n")
    with pytest.raises(InputError, match="is not TOML"):
        read_config(tmp_path / "bad.toml")


def test_base_is_not_changed():
    base = {"train": {"steps": 5}}
    assert read_config(None, ["train.steps=6"], base=base).train.steps == 6
    assert base == {"train": {"steps": 5}}
