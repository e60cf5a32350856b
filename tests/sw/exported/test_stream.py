"""Images: the very words and beats of the drivers, and back to the same integers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.cta import layout as cta
from model.cta.config import CTAConfig, CTAFormats
from model.fixed import Format
from model.lookup import layout as lookup
from model.words import pack_fields
from sw.exported import codec as stream
from sw.exported.codec import ImageError, decode_heads, decode_weights, encode
from sw.exported.layer import identical
from tests.sw.exported import made


def rng(seed=7):
    return np.random.default_rng(seed)


def expected(fields, loads, beats, size):
    """Word, beats, word, beats ..., from the layout that the simulator's driver uses."""
    data = b""
    for load in loads:
        values = {"target": load.target, "base": load.base, "rows": len(getattr(load, "rows", ())),
                  "set": getattr(load, "set", 0), "beats": len(getattr(load, "beats", ()))}
        data += pack_fields(fields, values).to_bytes(sum(w for _, w in fields) // 8, "little")
        data += b"".join(beat.to_bytes(size, "little") for beat in beats(load))
    return data


@pytest.mark.parametrize("name", made.CTA)
def test_heads(name):
    cfg = made.CTA[name]
    layer = made.attention_layer(cfg, rng(), 3)
    image = encode(layer)
    assert image.data == b"".join(
        expected(cta.LOAD_FIELDS, cta.weight_loads(cfg, weights, head % cfg.sets),
                 lambda load: cta.beats(cfg, load), 2 * cfg.lanes)
        for head, weights in enumerate(layer.heads))
    again, read = decode_heads(cfg, image.data, 3)
    assert read == image
    assert identical(again, layer.heads)
    assert encode(replace(layer, heads=again)).data == image.data
    assert all(weights.wq.dtype == weights.lsh[2].b.dtype == np.int64 for weights in again)


@pytest.mark.parametrize("name", made.LOOKUP)
def test_ffn(name):
    cfg = made.LOOKUP[name]
    layer = made.ffn_layer(cfg, rng())
    image = encode(layer)
    loads = expected(lookup.LOAD_FIELDS, lookup.weight_loads(cfg, layer.weights),
                     lambda load: load.beats, 16)
    assert image.data[:len(loads)] == loads
    if cfg.tables == "internal":
        assert image.tables is None and len(image.data) == len(loads)
    else:
        at = image.tables["offset"]
        assert at % max(64, cfg.lanes) == 0 and not any(image.data[len(loads):at])
        memory = b"".join(beat.to_bytes(cfg.lanes, "little")
                          for beat in lookup.table_beats(cfg, layer.weights.tables))
        assert image.data[at:] == memory
        assert image.tables == {"offset": at, "bytes": len(memory), "beat_bytes": cfg.lanes,
                                "row_bytes": len(memory) // cfg.rows}
    again, read = decode_weights(cfg, image.data)
    assert read == image
    assert identical(again, layer.weights)
    assert again.tables.dtype == np.int8 and again.w.dtype == np.int64
    assert encode(replace(layer, weights=again)).data == image.data


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_property_heads(data):
    """Any integers of the formats, the ends included, in any structure."""
    d = data.draw(st.sampled_from([8, 16]))
    cfg = CTAConfig(b=data.draw(st.sampled_from([2, 4, 16])), d=d, dw=d * data.draw(
        st.integers(1, 3)), l=data.draw(st.integers(1, 8)), n=8, lanes=data.draw(
        st.sampled_from([4, 8])), sets=data.draw(st.integers(1, 3)))
    layer = made.attention_layer(cfg, rng(data.draw(st.integers(0, 2**32))),
                                 data.draw(st.integers(1, 4)))
    ends = data.draw(st.sampled_from(["min", "max"]))
    extreme = replace(layer.heads[-1],
                      wk=np.full_like(layer.heads[-1].wk, getattr(cfg.fmt.weight, ends)),
                      bv=np.full_like(layer.heads[-1].bv, getattr(cfg.fmt.bias, ends)))
    heads = layer.heads[:-1] + (extreme,)
    image = encode(replace(layer, heads=heads))
    assert identical(decode_heads(cfg, image.data, len(heads))[0], heads)


@given(seed=st.integers(0, 2**32), name=st.sampled_from(list(made.LOOKUP)))
@settings(max_examples=25, deadline=None)
def test_property_ffn(seed, name):
    layer = made.ffn_layer(made.LOOKUP[name], rng(seed))
    assert identical(decode_weights(layer.cfg, encode(layer).data)[0], layer.weights)


@pytest.mark.parametrize("name", ["T = 3, l > b"])
def test_places_of_heads(name):
    """A host that walks by the table finds each load's word and beats."""
    cfg = made.CTA[name]
    layer = made.attention_layer(cfg, rng(), 3)
    image = encode(layer)
    end = 0
    for head, loads in enumerate(image.loads):
        for place, load in zip(loads, cta.weight_loads(cfg, layer.heads[head], head % cfg.sets),
                               strict=True):
            assert place["offset"] == end
            word = int.from_bytes(image.data[end:end + 5], "little")
            assert word == pack_fields(cta.LOAD_FIELDS, {
                "target": cta.Target[place["target"]], "set": place["set"], "base": place["base"],
                "rows": place["rows"]})
            beats = list(cta.beats(cfg, load))
            assert place["bytes"] == 5 + len(beats) * 2 * cfg.lanes
            end += place["bytes"]
    assert end == len(image.data) and [loads[0]["set"] for loads in image.loads] == [0, 1, 0]


def test_places_of_ffn():
    layer = made.ffn_layer(made.LOOKUP["bh4"], rng())
    loads, = encode(layer).loads
    assert [place["target"] for place in loads] == [
        "WEIGHT", "Z_BIAS", "OUT_BIAS", "SHIFT_S", "SHIFT", "SHIFT", "SHIFT"]
    assert all(place["bytes"] == 8 + 16 * place["beats"] for place in loads)


# -- what is refused --------------------------------------------------------------------------------

def heads_image(name="one slice"):
    return made.CTA[name], encode(made.attention_layer(made.CTA[name], rng(), 2)).data


def flipped(data, byte, bit=0):
    return data[:byte] + bytes([data[byte] ^ 1 << bit]) + data[byte + 1:]


def test_heads_refused():
    cfg, data = heads_image()
    cases = {
        r"load BV ends at byte|load PARAMETER ends at byte \d+, the image has \d+": data[:-1],
        r"the image has \d+ bytes, must be \d+": data + b"\0",
        r"the load at byte 0 has target 3, must be 2 \(load WQ\)": flipped(data, 0),
        r"the load at byte 0 has base 1, must be 0": flipped(data, 1),
        r"the load at byte 0 has rows 9, must be 8": flipped(data, 3),
        r"bits set in the padding of its beats": flipped(data, len(data) - 1),
    }
    for message, bad in cases.items():
        with pytest.raises(ImageError, match=message):
            decode_heads(cfg, bad, 2)
    with pytest.raises(ImageError, match="the image has"):
        decode_heads(cfg, data, 1)
    with pytest.raises(ImageError, match="load WQ ends at byte"):
        decode_heads(cfg, data, 3)
    with pytest.raises(ImageError, match=r"has rows 3, must be 4|has base|has rows"):
        decode_heads(replace(cfg, l=4), data, 2)


@pytest.mark.parametrize("name", made.LOOKUP)
def test_ffn_refused(name):
    cfg = made.LOOKUP[name]
    image = encode(made.ffn_layer(cfg, rng()))
    with pytest.raises(ImageError, match="ends at byte"):
        decode_weights(cfg, image.data[:-1])
    with pytest.raises(ImageError, match="the image has"):
        decode_weights(cfg, image.data + b"\0")
    with pytest.raises(ImageError, match="the load at byte 0 has beats"):
        decode_weights(cfg, flipped(image.data, 4))
    bias = image.loads[0][1]
    with pytest.raises(ImageError, match=f"byte {bias['offset']} has bits set in the padding"):
        decode_weights(cfg, flipped(image.data, bias["offset"] + 8 + 4))


@pytest.mark.parametrize("name, byte", [
    ("internal, two host beats", -1),     # d 40 in two beats of 32
    ("internal, part of a beat", -1),     # 4 of 16 bytes
])
def test_padding_of_tables_refused(name, byte):
    cfg = made.LOOKUP[name]
    data = encode(made.ffn_layer(cfg, rng())).data
    with pytest.raises(ImageError, match="padding"):
        decode_weights(cfg, flipped(data, len(data) + byte))


def test_padding_before_tables_refused():
    cfg = made.LOOKUP["bh4"]
    image = encode(made.ffn_layer(cfg, rng()))
    with pytest.raises(ImageError, match="padding"):
        decode_weights(cfg, flipped(image.data, image.tables["offset"] - 1))


def test_formats_without_hardware_refused():
    fmt = replace(CTAFormats(), weight=Format(True, 18, 9))
    layer = made.attention_layer(replace(made.CTA["one slice"], fmt=fmt), rng(), 1)
    with pytest.raises(ImageError, match=r"no engine can be built .* fmt.weight.width is 18"):
        encode(layer)


def test_words_are_whole_bytes():
    """Nothing in a file starts within a byte."""
    for fields in (cta.LOAD_FIELDS, lookup.LOAD_FIELDS):
        assert sum(width for _, width in fields) == 8 * stream.word_bytes(fields)
