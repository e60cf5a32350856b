"""LookupConfig: what it refuses, what follows from it, whether its widths are enough."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

import model.cta.config
from model.fixed import Format
from model.lookup.config import ConfigError, LookupConfig, LookupFormats

ILLEGAL = [
    ("d", 4), ("d", 0), ("d", 20), ("d", 2056), ("h", 0), ("h", 1025), ("tau", 0), ("tau", 17),
    ("block", 2), ("block", 48), ("block", 512), ("block", -4),
    ("multipliers", 3), ("multipliers", 8192), ("multipliers", -1),
    ("lanes", 48), ("lanes", 1024), ("lanes", -1), ("batch", -1), ("batch", 257),
    ("outstanding", 0), ("outstanding", 100), ("outstanding", 8192),
    ("projection", "fft"), ("projection", None), ("neighbours", 1), ("gelu_scaled", "yes"),
    ("residual", None), ("tables", "host"), ("tile", 1),
]
RANGES = {"d": "a multiple of 8 in 8..2048", "h": "in 1..1024", "tau": "in 1..16",
          "block": "a power of two in 4..256, at most n = 512",
          "multipliers": "a power of two in 1..4096, at most block squared",
          "lanes": "a power of two in 1..n = 512", "batch": "in 1..256",
          "outstanding": "a power of two in 1..4096", "projection": "one of ('bh4', 'dense')",
          "neighbours": "True or False", "gelu_scaled": "True or False",
          "residual": "True or False", "tile": "True or False", "tables": "one of ('external', 'internal')"}


@pytest.mark.parametrize("name, value", ILLEGAL)
def test_an_illegal_parameter_is_named(name, value):
    with pytest.raises(ConfigError) as error:
        LookupConfig(**{name: value})
    assert str(error.value) == f"{name} is {value!r}, must be {RANGES[name]}"


@pytest.mark.parametrize("name, value", [("d", True), ("h", 8.0), ("tau", "8"), ("block", None),
                                         ("lanes", 1.5), ("batch", None), ("outstanding", "1")])
def test_a_wrong_type_is_named(name, value):
    with pytest.raises(ConfigError) as error:
        LookupConfig(**{name: value})
    assert str(error.value).startswith(f"{name} is {value!r}, must be an integer, ")
    assert ".." in str(error.value)


def test_limits_that_depend_on_others():
    with pytest.raises(ConfigError, match="block is 32, must be a power of two in 4..16"):
        LookupConfig(d=16, block=32)
    with pytest.raises(ConfigError, match="multipliers is 32, must be a power of two in 1..16"):
        LookupConfig(block=4, multipliers=32)
    assert LookupConfig(tables="internal").table_bytes == 1 << 24
    with pytest.raises(ConfigError, match="'external' for 16908288 bytes of tables"):
        LookupConfig(h=129, tables="internal")


def test_without_a_tile_a_batch_is_a_token():
    assert (LookupConfig().batch, LookupConfig(tile=False).batch) == (64, 1)
    with pytest.raises(ConfigError, match="batch is 64, must be 1 without a tile"):
        LookupConfig(tile=False, batch=64)
    cfg = LookupConfig(tile=False)
    assert LookupConfig.from_dict(cfg.as_dict()) == cfg and cfg.digest != LookupConfig(batch=1).digest


def test_formats_without_a_meaning():
    for change, text in (({"z": Format(False, 12, 7)}, "fmt.z is .* must be signed"),
                         ({"score": Format(True, 12, 7)}, "fmt.score is .* must be unsigned"),
                         ({"z": Format(True, 12, 4)}, "fmt.z.frac is 4, must be at least 5"),
                         ({"z_bias": Format(True, 16, 6)}, "fmt.z_bias.frac is 6, must be at")):
        with pytest.raises(ConfigError, match=text):
            LookupConfig(fmt=dataclasses.replace(LookupFormats(), **change))
    with pytest.raises(ConfigError, match="fmt is None"):
        LookupConfig(fmt=None)
    wide = LookupConfig(fmt=dataclasses.replace(LookupFormats(), table=Format(True, 9, 8)))
    with pytest.raises(ConfigError, match="fmt.table.width is 9, must be in 8..8"):
        wide.require_buildable()
    LookupConfig().require_buildable()


@pytest.mark.parametrize("cfg", [LookupConfig(), LookupConfig(d=24, h=3, tau=2, lanes=4),
                                 LookupConfig(projection="dense", neighbours=True)])
def test_dictionary_round_trip(cfg):
    again = LookupConfig.from_dict(json.loads(json.dumps(cfg.as_dict())))
    assert again == cfg and again.digest == cfg.digest
    assert dataclasses.replace(cfg, batch=3).digest != cfg.digest


@pytest.mark.parametrize("data, text", [([], r"config is \[\], must be an object"),
                                        ({"hash": 1}, "'hash' is unknown"),
                                        ({"fmt": {"z": {"bits": 3}}}, "fmt.z key 'bits' is unknown"),
                                        ({"fmt": [1]}, r"fmt is \[1\], must be an object")])
def test_malformed_dictionaries(data, text):
    with pytest.raises(ConfigError, match=text):
        LookupConfig.from_dict(data)


def test_what_follows_from_the_paper_s_layers():
    small = LookupConfig()
    assert (small.n, small.copies, small.blocks, small.weight_shape) == (
        512, 2, 8, (2, 4, 8, 64, 64))
    assert (small.rows, small.row_beats, small.row_width, small.address_width) == (32768, 8, 15, 18)
    base = LookupConfig(d=768, h=170, tau=9)
    assert (base.n, base.copies, base.codes, base.row_bytes) == (1024, 2, 1530, 768)
    assert LookupConfig(d=768, h=32, lanes=512).row_bytes == 1024


def test_every_legal_combination_of_the_structure():
    for d, h, tau, projection in itertools.product((8, 24, 64, 520, 2048), (1, 7, 1024), (1, 5, 16),
                                                   ("bh4", "dense")):
        cfg = LookupConfig(d=d, h=h, tau=tau, projection=projection, neighbours=h == 7)
        assert cfg.n >= d > cfg.n // 2 and cfg.blocks * cfg.block == cfg.n
        assert cfg.projection == "dense" or cfg.copies * cfg.n >= h * tau > (cfg.copies - 1) * cfg.n
        assert d <= cfg.row_bytes < d + cfg.lanes and cfg.row_bytes % cfg.lanes == 0
        assert cfg.rows <= 1 << cfg.row_width
        assert all(fmt.width < 63 for fmt in (cfg.block_acc, cfg.hadamard, cfg.z_sum, cfg.log_sum,
                                              cfg.inner, cfg.gather_acc))


def test_widths_hold_their_worst_case():
    for block, tau, neighbours in itertools.product((4, 64), (1, 8, 16), (False, True)):
        cfg = LookupConfig(h=4, tau=tau, block=block, neighbours=neighbours)
        f = cfg.fmt
        assert cfg.block_acc.holds(block * f.stage.min * f.weight.min)
        assert cfg.hadamard.holds(cfg.n * f.stage.min)
        assert cfg.z_sum.holds(f.mix.max * (f.stage.min + f.x.min) + f.z_bias.min)
        assert cfg.magnitude.holds(-f.z.min) and cfg.magnitude_sum.holds(-tau * f.z.min)
        assert cfg.inner.holds(-tau * f.z.min) and cfg.inner.holds(f.z.min)
    # docs/lookup.md: a shift of the score may stop at 31, since nothing is left there.
    longest = LookupConfig(tau=16)
    assert longest.inner.max * longest.exp_table.max() < 1 << 29
    dense = LookupConfig(d=768, projection="dense")
    assert dense.block_acc.holds(768 * 2048 * 512)


def test_tables_of_the_score():
    cfg = LookupConfig()
    z = np.arange(512)
    exact = np.log2(1 + np.exp(-2 * z / 128))
    assert np.abs(cfg.log_table[z >> 2] / 1024 - exact).max() < 0.0185   # half a step, steepest
    assert (np.diff(cfg.log_table) <= 0).all() and cfg.log_table[-1] <= 1
    assert cfg.exp_table[0] == 2048 and cfg.exp_table.max() < 4096
    assert cfg.flip_factor == 739


def test_both_engines_raise_the_same_error():
    assert model.cta.config.ConfigError is ConfigError
