"""Words and beats at the border: what is packed is unpacked, and where each element lies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.cta import layout, stimulus
from model.cta.config import CTAConfig
from model.cta.job import Mode, Saturation
from model.cta.layout import (
    JOB_FIELDS,
    LOAD_FIELDS,
    STATUS_FIELDS,
    TRACE_FIELDS,
    Load,
    Parameter,
    Target,
    TraceOp,
    beats,
    job_fields,
    pack_fields,
    token_loads,
    unpack_fields,
    weight_loads,
)
from model.cta.schedule import Op

WORDS = {"load": LOAD_FIELDS, "job": JOB_FIELDS, "status": STATUS_FIELDS, "trace": TRACE_FIELDS}


@pytest.mark.parametrize("name", WORDS)
@given(data=st.data())
def test_round_trip(name, data):
    fields = WORDS[name]
    values = {field: data.draw(st.integers(0, (1 << width) - 1)) for field, width in fields}
    assert unpack_fields(fields, pack_fields(fields, values)) == values


@given(st.integers(-8, 7))
def test_signed_shift_keeps_its_bits(shift_o):
    word = pack_fields(JOB_FIELDS, {"shift_o": shift_o, "n": 32767})
    assert unpack_fields(JOB_FIELDS, word)["shift_o"] == shift_o % 16
    assert unpack_fields(JOB_FIELDS, word)["n"] == 32767


def test_words_by_hand():
    """The lowest bit is that of the first field; a field left out is 0."""
    assert pack_fields(LOAD_FIELDS, {"target": 8, "set": 1, "base": 2, "rows": 3}) == 0x3_0002_18
    assert pack_fields(JOB_FIELDS, {"mode": 1, "cross": 1, "reuse": 1, "set": 2, "n": 3}) == 0x6_93
    assert pack_fields(JOB_FIELDS, {"shift_o": -1}) == 0xF << 60
    assert sum(width for _, width in LOAD_FIELDS) == 40
    assert sum(width for _, width in JOB_FIELDS) == 64


@pytest.mark.parametrize("name, value, width", [("target", 16, 4), ("set", -9, 4),
                                                ("rows", 65536, 16)])
def test_values_that_do_not_fit(name, value, width):
    with pytest.raises(ValueError, match=f"{name} is {value}, must fit {width} bits"):
        pack_fields(LOAD_FIELDS, {name: value})


def test_numbers_that_are_shared():
    """A trace shows the operations of the schedule; every saturation has a counter."""
    assert {(op.name, op.value) for op in Op} <= {(op.name, op.value) for op in TraceOp}
    assert max(TraceOp) < 1 << dict(TRACE_FIELDS)["sa"]
    assert {f"sat_{kind.name.lower()}" for kind in Saturation} <= set(dict(STATUS_FIELDS))
    # LSH c has the rows 16c to 16c + 15.
    assert Parameter.LSH_B + 8 == Parameter.LSH_INV_W and Parameter.LSH_POST < 16
    assert 3 * 16 <= Parameter.BQ and Parameter.BV + 128 <= Parameter.END


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_order_of_beats(lanes):
    """Row by row, ``lanes`` elements a beat, the first element lowest, two's complement."""
    cfg = CTAConfig(b=2, d=16, dw=48, n=8, lanes=lanes)
    rows = np.arange(-60, 84).reshape(3, 48)
    sent = list(beats(cfg, Load(Target.TOKEN, 0, 0, rows)))
    assert len(sent) == 3 * cfg.slices * cfg.groups
    got = [(beat >> 16 * i & 0xFFFF) for beat in sent for i in range(lanes)]
    assert [value - (value >> 15 << 16) for value in got] == list(range(-60, 84))
    assert all(beat >> 16 * lanes == 0 for beat in sent)


def test_parameters_take_a_beat_each():
    cfg = CTAConfig(b=2, d=8, n=8)
    sent = list(beats(cfg, Load(Target.PARAMETER, 0, 0, np.array([-1, 5, -2 ** 31, 2 ** 31 - 1]))))
    assert sent == [0xFFFFFFFF, 5, 0x80000000, 0x7FFFFFFF]


def test_loads_of_a_head():
    """Every operand goes to its target, weights column by column."""
    cfg = CTAConfig(b=4, d=8, dw=16, l=3, n=8, sets=2)
    weights, job = stimulus.random_job(cfg, np.random.default_rng(1), 6, 5, shared_a=False)
    loads = weight_loads(cfg, weights, 1) + token_loads(job)
    assert {load.set for load in loads[:-1]} == {1}
    by_place = {(load.target, load.base): load.rows for load in loads}
    assert len(by_place) == len(loads) == 3 + 3 * 3 + 2 + 1
    for target, name in ((Target.WQ, "wq"), (Target.WK, "wk"), (Target.WV, "wv")):
        matrix = getattr(weights, name)
        np.testing.assert_array_equal(by_place[target, 0][2], matrix[:, 2])
        assert by_place[target, 0].shape == (cfg.d, cfg.dw)
    for c, (target, lsh) in enumerate(zip((Target.A0, Target.A1, Target.A2), weights.lsh)):
        np.testing.assert_array_equal(by_place[target, 0], lsh.a)
        np.testing.assert_array_equal(by_place[Target.PARAMETER, 16 * c], lsh.b)
        assert list(by_place[Target.PARAMETER, 16 * c + 8]) == [lsh.inv_w, lsh.pre, lsh.post]
    np.testing.assert_array_equal(by_place[Target.PARAMETER, 256], weights.bq)
    np.testing.assert_array_equal(by_place[Target.PARAMETER, 512], weights.bv)
    np.testing.assert_array_equal(by_place[Target.TOKEN, 0], np.concatenate([job.xkv, job.xq]))
    (load,) = token_loads(replace(job, xq=None))
    np.testing.assert_array_equal(load.rows, job.xkv)


def test_job_words():
    cfg = CTAConfig(b=4, d=8, n=8)
    weights, job = stimulus.random_job(cfg, np.random.default_rng(2), 6, 5, Mode.EXACT,
                                       shared_a=True)
    fields = job_fields(weights, job, index=3, tables=True)
    assert fields == {"mode": 1, "cross": 1, "tables": 1, "shared_a": 1, "reuse": 0, "clusters": 0,
                      "set": 3, "n": 6, "linear": 0, "m": 5,
                      "shift_q": job.shift_q, "shift_k": job.shift_k, "shift_v": job.shift_v,
                      "shift_s": job.shift_s, "shift_o": job.shift_o}
    alone = job_fields(weights, replace(job, xq=None, mode=Mode.CTA), reuse=True)
    assert alone["reuse"] == 1
    assert (alone["mode"], alone["cross"], alone["tables"], alone["m"]) == (0, 0, 0, 6)


def test_mutant_with_the_first_element_on_top(monkeypatch):
    def swapped(cfg, load):
        return (int.from_bytes(beat.to_bytes(2 * cfg.lanes, "little"), "big")
                for beat in layout.beats(cfg, load))

    monkeypatch.setitem(test_order_of_beats.__globals__, "beats", swapped)
    with pytest.raises(AssertionError):
        test_order_of_beats(8)
