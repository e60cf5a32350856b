"""Words and beats at the border: what is packed is unpacked, and where each element lies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.lookup import layout, stimulus
from model.lookup.config import LookupConfig
from model.lookup.job import Order, Saturation
from model.lookup.layout import (
    ELEMENT_WIDTH,
    HOST_LANES,
    JOB_FIELDS,
    LOAD_FIELDS,
    STATUS_FIELDS,
    TRACE_FIELDS,
    Parameter,
    Target,
    job_fields,
    table_beats,
    token_beats,
    weight_loads,
)
from model.lookup.weight_layout import weight_beats, weight_order
from model.words import pack_fields, unpack_fields

WORDS = {"load": LOAD_FIELDS, "job": JOB_FIELDS, "status": STATUS_FIELDS, "trace": TRACE_FIELDS}
CONFIGS = {
    "padded rows": LookupConfig(d=24, h=3, tau=2, block=8, lanes=32),
    "several beats a row": LookupConfig(d=40, h=2, tau=3, block=16, lanes=16, residual=True),
    "odd rest": LookupConfig(d=24, h=2, tau=1, block=8, lanes=16),
    "a byte a beat": LookupConfig(d=8, h=1, tau=1, block=4, lanes=1),
    "internal": LookupConfig(d=40, h=2, tau=2, block=8, lanes=64, tables="internal"),
    "internal, narrow": LookupConfig(d=16, h=2, tau=2, block=8, lanes=4, tables="internal"),
    "dense": LookupConfig(d=24, h=5, tau=3, block=8, multipliers=16, projection="dense"),
}


def elements(beats, count):
    """The first ``count`` elements of beats, two's complement; the rest must be 0."""
    mask = (1 << ELEMENT_WIDTH) - 1
    flat = np.array([beat >> (ELEMENT_WIDTH * i) & mask for beat in beats
                     for i in range(HOST_LANES)], dtype=np.int64)
    assert not flat[count:].any() and len(flat) - count < HOST_LANES
    flat = flat[:count]
    return flat - ((flat >> (ELEMENT_WIDTH - 1)) << ELEMENT_WIDTH)


def lane_bytes(beats, lanes):
    """Beats as rows of ``lanes`` signed bytes."""
    assert all(0 <= beat < 1 << (8 * lanes) for beat in beats)
    flat = np.array([beat >> (8 * i) & 0xFF for beat in beats for i in range(lanes)])
    return (flat - (flat >> 7 << 8)).reshape(len(beats), lanes)


def layer(cfg, seed=1):
    return stimulus.random_job(cfg, np.random.default_rng(seed), 3, order=Order.TABLE_MAJOR)


@pytest.mark.parametrize("name", WORDS)
@given(data=st.data())
def test_round_trip(name, data):
    fields = WORDS[name]
    values = {field: data.draw(st.integers(0, (1 << width) - 1)) for field, width in fields}
    assert unpack_fields(fields, pack_fields(fields, values)) == values


def test_words_by_hand():
    """The lowest bit is that of the first field; a field left out is 0."""
    assert pack_fields(LOAD_FIELDS, {"target": 5, "base": 2, "beats": 3}) == 0x3_0000_0025
    assert pack_fields(JOB_FIELDS, {"order": 1, "tokens": 3, "gain": 1}) == 0x2_0007
    assert pack_fields(JOB_FIELDS, {"shift_y": 1}) == 1 << (1 + 16 + 16 + 16 + 5)
    assert pack_fields(STATUS_FIELDS, {"cycles": 1, "table_bytes": 1}) == (1 << 48) + (1 << 8)
    assert sum(width for _, width in LOAD_FIELDS) == 64


@pytest.mark.parametrize("name, value, width", [("target", 16, 4), ("base", 1 << 28, 28),
                                                ("beats", 1 << 32, 32)])
def test_values_that_do_not_fit(name, value, width):
    with pytest.raises(ValueError, match=f"{name} is {value}, must fit {width} bits"):
        pack_fields(LOAD_FIELDS, {name: value})


def test_numbers_that_are_shared():
    """Saturations have a counter each; the shifts of the most copies do not overlap."""
    assert {f"sat_{kind.name.lower()}" for kind in Saturation} <= set(dict(STATUS_FIELDS))
    assert max(Target) < 1 << dict(LOAD_FIELDS)["target"]
    most = LookupConfig(d=8, h=1024, tau=16).copies
    assert Parameter.BLOCK + 4 * most <= Parameter.HADAMARD
    assert Parameter.HADAMARD + 4 * most <= Parameter.Z and Parameter.Z + most <= Parameter.END


@pytest.mark.parametrize("name", CONFIGS)
def test_loads_of_a_layer(name):
    """Each operand can be read back from the beats that bring it."""
    cfg = CONFIGS[name]
    weights, _ = layer(cfg)
    loads = {(load.target, load.base): load.beats for load in weight_loads(cfg, weights)}
    assert len(loads) == len(weight_loads(cfg, weights))

    beats = loads.pop((Target.WEIGHT, 0))
    order = weight_order(cfg, weights.w)
    assert len(beats) == weight_beats(cfg)
    np.testing.assert_array_equal(elements(beats, len(order)), order)

    singles = {(Target.Z_BIAS, 0): "z_bias", (Target.OUT_BIAS, 0): "out_bias",
               (Target.SHIFT_S, 0): "shift_s", (Target.SHIFT, Parameter.Z): "shift_z"}
    if cfg.projection == "bh4":
        singles |= {(Target.SHIFT, Parameter.BLOCK): "shift_block",
                    (Target.SHIFT, Parameter.HADAMARD): "shift_hadamard"}
    for place, field in singles.items():
        beats = loads.pop(place)
        assert all(0 <= beat < 1 << 32 for beat in beats)
        got = [beat - (beat >> 31 << 32) for beat in beats]
        np.testing.assert_array_equal(got, getattr(weights, field).reshape(-1), err_msg=field)

    if cfg.tables == "internal":
        beats, size = loads.pop((Target.TABLE, 0)), HOST_LANES * ELEMENT_WIDTH // 8
        assert all(beat < 1 << (8 * size) for beat in beats)
        raw = lane_bytes(beats, size)[:, :min(cfg.lanes, size)].reshape(cfg.rows, cfg.row_bytes)
        np.testing.assert_array_equal(raw[:, :cfg.d], weights.tables.reshape(cfg.rows, cfg.d))
    assert not loads


@pytest.mark.parametrize("name", CONFIGS)
def test_table_beats(name):
    """Row after row from a whole beat, the first byte lowest, zeros behind."""
    cfg = CONFIGS[name]
    weights, _ = layer(cfg)
    beats = table_beats(cfg, weights.tables)
    assert len(beats) == cfg.rows * cfg.row_beats
    for table in range(cfg.h):
        for code in range(1 << cfg.tau):
            at = (table * 2 ** cfg.tau + code) * cfg.row_beats
            row = lane_bytes(beats[at:at + cfg.row_beats], cfg.lanes).reshape(-1)
            np.testing.assert_array_equal(row[:cfg.d], weights.tables[table, code])
            assert not row[cfg.d:].any()


@pytest.mark.parametrize("name", CONFIGS)
def test_token_beats(name):
    """Whole beats a token, token after token, the first element lowest; residuals likewise."""
    cfg = CONFIGS[name]
    _, job = layer(cfg)
    for tensor in (job.x, job.residual):
        if tensor is not None:
            beats = token_beats(tensor)
            assert len(beats) == len(tensor) * cfg.d // HOST_LANES
            np.testing.assert_array_equal(elements(beats, tensor.size).reshape(-1, cfg.d), tensor)


def test_beats_by_hand():
    assert token_beats(np.array([[-1, 2, 0, 0, 0, 0, 0, -2 ** 15], [1] + [0] * 7])) == [
        0x8000 << 112 | 0x2FFFF, 1]
    cfg = LookupConfig(d=8, h=1, tau=1, block=8, lanes=8)
    tables = np.array([[[-1, 2, 0, 0, 0, 0, 0, -128], [1] + [0] * 7]])
    assert table_beats(cfg, tables) == [0x80000000000002FF, 1]


def test_job_words():
    weights, job = layer(CONFIGS["dense"])
    assert job_fields(job) == {"order": 1, "tokens": 3, "gain": job.gain, "skip": job.skip,
                               "shift_skip": job.shift_skip, "shift_y": job.shift_y}
    assert job_fields(replace(job, order=Order.TOKEN_MAJOR, x=job.x[:0]))["tokens"] == 0


MUTANTS = {
    "the first byte on top": lambda cfg, tables: [
        int.from_bytes(beat.to_bytes(cfg.lanes, "little"), "big")
        for beat in layout.table_beats(cfg, tables)],
    "code by code": lambda cfg, tables: layout.table_beats(cfg, tables.swapaxes(0, 1)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name, monkeypatch):
    monkeypatch.setitem(test_table_beats.__globals__, "table_beats", MUTANTS[name])
    with pytest.raises(AssertionError):
        test_table_beats("several beats a row")
