"""CTAConfig: what it refuses, how it is named, and whether its widths are enough."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from model.cta.config import ConfigError, CTAConfig, CTAFormats
from model.fixed import Format, round_half_up

ILLEGAL = [
    ("b", 0), ("b", 1), ("b", 3), ("b", 64),
    ("d", 4), ("d", 0), ("d", 48), ("d", 256),
    ("dw", 32), ("dw", 96), ("dw", -64), ("dw", 17 * 64),
    ("l", 0), ("l", 9), ("l", -1),
    ("n", 0), ("n", 1), ("n", 2049),
    ("k0", 513), ("k1", -1), ("k2", 513),
    ("pag", 1), ("pag", 3), ("pag", 6), ("pag", 32), ("pag", -2),
    ("sets", 0), ("sets", 9),
    ("lanes", 2), ("lanes", 12), ("lanes", 128),
    ("digit", 0), ("digit", 3), ("digit", 8),
]
RANGES = {"b": "one of (2, 4, 8, 16, 32)", "d": "one of (8, 16, 32, 64, 128)",
          "dw": "a multiple T*d of d = 64 with T in 1..16", "l": "in 1..8", "n": "in 2..2048",
          "k0": "in 1..n = 512", "k1": "in 1..n = 512", "k2": "in 1..n = 512",
          "pag": "a power of two in 2..2b = 16", "sets": "in 1..8",
          "lanes": "a power of two in 4..d = 64",
          "digit": "1, 2 or 4 and a divisor of the hash width 8"}
CONFIGS = [CTAConfig(), CTAConfig(dw=1024), CTAConfig(d=128, dw=2048, n=2048, l=8),
           CTAConfig(b=2, d=8, n=2, l=1), CTAConfig(b=32, d=8, n=7, k0=3, k1=5, k2=1)]


@pytest.mark.parametrize("name, value", ILLEGAL)
def test_an_illegal_parameter_is_named(name, value):
    with pytest.raises(ConfigError) as error:
        CTAConfig(**{name: value})
    assert str(error.value) == f"{name} is {value!r}, must be {RANGES[name]}"


@pytest.mark.parametrize("name, value", [("b", True), ("b", 8.0), ("n", "512"), ("dw", "64"),
                                         ("l", None), ("k0", "3"), ("lanes", None), ("k2", 1.5)])
def test_a_wrong_type_is_named(name, value):
    with pytest.raises(ConfigError) as error:
        CTAConfig(**{name: value})
    assert str(error.value).startswith(f"{name} is {value!r}, must be an integer, ")
    assert any(digit in str(error.value).split(", must")[1] for digit in "1248n")


@pytest.mark.parametrize("fmt, text", [
    ({"ap": Format(True, 11)}, "fmt.ap is .* must be unsigned"),
    ({"token": Format(False, 13, 7)}, "fmt.token is .* must be signed"),
    ({"token": Format(True, 13, 5)}, "fmt.centroid.frac is 6, must be in 0..fmt.token.frac = 5")])
def test_formats_without_a_meaning(fmt, text):
    with pytest.raises(ConfigError, match=text):
        CTAConfig(fmt=dataclasses.replace(CTAFormats(), **fmt))


def test_formats_that_fit_no_word_of_the_hardware():
    wide = CTAConfig(fmt=dataclasses.replace(CTAFormats(), token=Format(True, 17, 11)))
    with pytest.raises(ConfigError, match="fmt.token.width is 17, must be in 4..16"):
        wide.require_buildable()


@pytest.mark.parametrize("fmt, text", [
    ({"unknown": {}}, r"fmt key 'unknown' is unknown, must be one of \['ap'"),
    ([1], r"fmt is \[1\], must be an object"),
    ({"token": 7}, "fmt.token is 7, must be an object"),
    ({"token": {"width": 0}}, r"fmt.token.width is 0, must be in 2\.\.60"),
    ({"token": {"width": None}}, r"fmt.token.width is None, must be an integer in 0\.\.60"),
    ({"token": {"width": 7.5}}, "fmt.token.width is 7.5, must be an integer"),
    ({"token": {"frac": "7"}}, "fmt.token.frac is '7', must be an integer"),
    ({"token": {"frac": 40}}, r"fmt.token.frac is 40, must be in 0\.\.26"),
    ({"token": {"signed": 1}}, "fmt.token.signed is 1, must be true"),
    ({"score": {"signed": True, "width": 6, "frac": 8}},
     r"fmt.score.frac is 8, must be in 1\.\.5"),
    ({"score": {"frac": 16}}, r"fmt.score.frac is 16, must be in 1\.\.15")])
def test_malformed_formats(fmt, text):
    with pytest.raises(ConfigError, match=text):
        CTAConfig.from_dict({"fmt": fmt})


def test_what_a_format_leaves_out_is_as_chosen():
    cfg = CTAConfig.from_dict({"fmt": {"token": {"width": 14}}})
    assert cfg.fmt.token == Format(True, 14, 7)


def test_a_digit_divides_the_hash():
    narrow = dataclasses.replace(CTAFormats(), hash=Format(True, 6))
    assert CTAConfig(fmt=narrow).hash_digits == 3
    with pytest.raises(ConfigError, match="digit is 4, must be .* the hash width 6"):
        CTAConfig(digit=4, fmt=narrow)


def test_every_legal_combination_of_the_structure():
    for b, d, t, l in itertools.product((2, 4, 8, 16, 32), (8, 16, 32, 64, 128),  # noqa: E741
                                        range(1, 17), range(1, 9)):
        cfg = CTAConfig(b=b, d=d, dw=t * d, l=l)
        assert cfg.slices == t and cfg.passes * b >= l > (cfg.passes - 1) * b
        assert max(cfg.cacc_column, cfg.cavg_column) < cfg.columns
        assert cfg.tiles * cfg.pag_rounds == b


@pytest.mark.parametrize("cfg", CONFIGS)
def test_dictionary_round_trip(cfg):
    data = json.loads(json.dumps(cfg.as_dict()))
    again = CTAConfig.from_dict(data)
    assert again == cfg and again.digest == cfg.digest
    assert CTAConfig.from_dict({}) == CTAConfig()


def test_digest_tells_configurations_apart():
    digests = {cfg.digest for cfg in CONFIGS}
    digests.add(CTAConfig(fmt=dataclasses.replace(CTAFormats(), ap=Format(False, 10))).digest)
    assert len(digests) == len(CONFIGS) + 1
    assert all(len(digest) == 12 for digest in digests)
    # A default written out is the same hardware.
    assert CTAConfig(dw=64, tokens=512, exact=512, k0=336, k1=288, k2=32, pag=16).digest == CTAConfig().digest


def test_unknown_keys_are_refused():
    with pytest.raises(ConfigError, match="'depth' is unknown, must be one of .*'b'"):
        CTAConfig.from_dict({"depth": 3})
    with pytest.raises(ConfigError, match=r"config is \[\], must be an object"):
        CTAConfig.from_dict([])


def _worst_sums(cfg):
    """Both ends of every sum a PE forms, from operands at the ends of their formats."""
    f = cfg.fmt

    def ends(left, right, terms):
        products = [x * y for x in (left.min, left.max) for y in (right.min, right.max)]
        return min(products) * terms, max(products) * terms

    low, high = ends(f.centroid, f.weight, cfg.dw)
    return {"lsh": ends(f.token, f.lsh_a, cfg.dw),
            "linear": (low + f.bias.min, high + f.bias.max),
            "score": ends(f.qkv, f.qkv, cfg.d),
            "output": ends(f.qkv, f.ap, cfg.k12)}


@pytest.mark.parametrize("cfg", CONFIGS)
def test_the_accumulator_holds_the_worst_sum_and_is_not_wider(cfg):
    sums = _worst_sums(cfg)
    assert all(cfg.acc.holds(list(ends)).all() for ends in sums.values())
    # Symmetric bounds cost a bit only where the largest sum is exactly a power of two.
    narrower = Format(True, cfg.acc.width - 1)
    peak = max(max(-low, high) for low, high in sums.values())
    assert not narrower.holds(peak) and not narrower.holds(-peak - 1)


@pytest.mark.parametrize("cfg", CONFIGS)
def test_operand_registers_hold_their_operands(cfg):
    f = cfg.fmt
    for fmt in (f.token, f.weight, f.qkv, f.lsh_a):
        assert cfg.left.holds([fmt.min, fmt.max]).all()
    for fmt in (f.lsh_a, f.centroid, f.qkv, f.ap):
        assert cfg.value.holds([fmt.min, fmt.max]).all()
    assert cfg.value.holds(cfg.mean_table).all()


@pytest.mark.parametrize("cfg", CONFIGS)
def test_sums_outside_the_array(cfg):
    f = cfg.fmt
    assert cfg.csum.holds([f.token.min * cfg.n, f.token.max * cfg.n]).all()
    assert cfg.ap_bank.holds(f.prob.max * -(-cfg.n // 2))
    assert cfg.ap_sum.holds(f.ap.max * cfg.k12)
    assert 2**cfg.token_id_width >= cfg.n and 2**cfg.count_width > cfg.n


@pytest.mark.parametrize("cfg", CONFIGS)
def test_a_result_before_its_reciprocal_fits_the_ppe(cfg):
    # |ap V| <= |v|max * sum and sum < 2**(e+1), so (res << guard) >> e stays within 2|v| << guard.
    assert cfg.fmt.ppe.holds(2 * cfg.fmt.qkv.min * 2**cfg.result_guard)


def test_tables():
    cfg = CTAConfig(n=2048)
    exp = 2.0**(np.arange(64) / 64) * 2048
    assert len(cfg.exp_table) == 64 and np.abs(cfg.exp_table - exp).max() <= 0.5
    assert Format(False, cfg.exp_mantissa).holds(cfg.exp_table).all()
    middle = 4096 / (1 + (np.arange(256) + 0.5) / 256)
    assert len(cfg.recip_table) == 256 and np.abs(cfg.recip_table - middle).max() <= 0.5
    assert cfg.fmt.multiplier.holds(cfg.recip_table).all()
    counts = np.arange(1, 2049)
    mean = 2.0**np.ceil(np.log2(counts)) / counts * 1024
    assert np.abs(cfg.mean_table[1:] - mean).max() <= 0.5 and cfg.mean_table[0] == 0
    # Counts that are powers of two divide exactly.
    powers = 2**np.arange(12)
    assert (cfg.mean_table[powers] == 1024).all()
    assert round_half_up(np.array([-4096, 4095]) * 1024, 10).tolist() == [-4096, 4095]
