"""docs/export.md names every key of the manifest, and its bytes are right."""

import re
from pathlib import Path

import numpy as np

from model.cta import layout as cta
from model.lookup import layout as lookup
from model.words import pack_fields
from sw.exported.codec import encode
from sw.exported.manifest import SCHEMA, describe, document
from tests.sw.exported import made

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
NAMED = set(re.findall(r"`(\w+)`", PAGE))


def test_keys():
    rng = np.random.default_rng(1)
    entries = [describe("a", layer, encode(layer), "a.bin") for layer in (
        made.attention_layer(made.CTA["one slice"], rng), made.ffn_layer(made.LOOKUP["bh4"], rng))]
    data = document(entries, {})
    cta_, ffn = entries
    keys = [*data, *cta_, *ffn, *cta_["heads"][0], *cta_["heads"][0]["loads"][0], *ffn["job"],
            *ffn["points"], *ffn["loads"][0], *ffn["tables"], *data["words"], *data["words"]["cta"]]
    assert sorted(set(keys) - NAMED) == []
    assert f"## Manifest, schema {SCHEMA}" in PAGE


def test_words():
    words = re.findall(r"^\| (CTA|LookupFFN), .* \| `([0-9a-f ]+)` \|$", PAGE, re.M)
    due = [pack_fields(cta.LOAD_FIELDS, fields).to_bytes(5, "little") for fields in (
        {"target": cta.Target.WQ, "rows": 8},
        {"target": cta.Target.PARAMETER, "set": 1, "base": 16, "rows": 6})]
    due += [pack_fields(lookup.LOAD_FIELDS, fields).to_bytes(8, "little") for fields in (
        {"target": lookup.Target.WEIGHT, "beats": 2048},
        {"target": lookup.Target.SHIFT, "base": lookup.Parameter.Z, "beats": 1})]
    assert [bytes.fromhex(text) for _, text in words] == due


def test_order_of_loads():
    """The sentences on the order of loads, against the layouts."""
    rng = np.random.default_rng(1)
    heads = [place["target"] for place in encode(
        made.attention_layer(made.CTA["one slice"], rng, 1)).loads[0]]
    assert heads == ["WQ", "WK", "WV", *["A0", "PARAMETER", "PARAMETER"],
                     *["A1", "PARAMETER", "PARAMETER"], *["A2", "PARAMETER", "PARAMETER"],
                     "PARAMETER", "PARAMETER"]
    ffn = encode(made.ffn_layer(made.LOOKUP["bh4"], rng)).loads[0]
    assert [place["target"] for place in ffn] == [
        "WEIGHT", "Z_BIAS", "OUT_BIAS", "SHIFT_S", "SHIFT", "SHIFT", "SHIFT"]
    assert [place["base"] for place in ffn[-3:]] == [0x4000, 0, 0x2000]
