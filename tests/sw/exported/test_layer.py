"""Layers in raw integers: what they refuse, and that their methods are those of the engines."""

from dataclasses import replace

import numpy as np
import pytest

from model.cta import head
from model.cta.config import CTAConfig
from model.cta.job import Mode
from model.cta.quantise import quantise
from model.cta.reference import Operands
from model.errors import JobRefused
from model.lookup import layer as lookup
from model.lookup.job import Order
from sw.exported.layer import AttentionLayer, identical
from tests.sw.exported import made


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def attention(rng):
    return made.attention_layer(made.CTA["T = 3, l > b"], rng, 3)


@pytest.fixture
def ffn(rng):
    return made.ffn_layer(made.LOOKUP["bh4"], rng)


def changed(items, at, **fields):
    return tuple(replace(item, **fields) if index == at else item
                 for index, item in enumerate(items))


def test_tokens_saturate(attention, ffn):
    f = attention.cfg.fmt.token
    x = np.array([[1e9, -1e9] + [0.0] * 22])
    assert attention.tokens(x)[0, :3].tolist() == [f.max, f.min, 0]
    one = np.full((1, 24), 1.5)
    assert attention.tokens(one)[0, 0] == min(f.max, int(1.5 * 2**attention.points[0].token))
    assert ffn.tokens(one)[0, 0] == min(ffn.cfg.fmt.x.max, int(1.5 * 2**ffn.point_x))


def test_job_runs_on_the_golden_model(attention, ffn, rng):
    raw = rng.integers(-99, 99, (5, 24))
    job = attention.job(1, raw, raw[:2])
    assert job.shift_o == attention.shifts[1].o and job.mode == Mode.CTA
    assert head.run(attention.cfg, attention.heads[1], job).o.shape == (2, 8)
    assert attention.output(1, np.array([4]))[0] == 4 / 2**attention.points[1].o
    job = ffn.job(raw[:, :16], Order.TABLE_MAJOR)
    assert (job.order, job.gain, job.shift_y) == (Order.TABLE_MAJOR, ffn.gain, ffn.shift_y)
    assert lookup.run(ffn.cfg, ffn.weights, job).y.shape == (5, 16)
    bare = replace(ffn, cfg=replace(ffn.cfg, tile=False, batch=0))
    assert bare.job(raw[:, :16]).order == Order.TOKEN_MAJOR
    with pytest.raises(JobRefused, match="ORDER: order is table-major, must be token-major on an engine"):
        bare.job(raw[:, :16], Order.TABLE_MAJOR)
    assert ffn.output(np.array([4]))[0] == 4 / 2**ffn.point_y


def test_points_of_quantise_are_accepted(rng):
    """What model.cta.quantise makes of a head is a layer of one head."""
    cfg = CTAConfig(b=2, d=8, dw=16, l=3, n=16)
    x, w = rng.normal(size=(9, 16)), [rng.normal(size=(16, 8)) for _ in range(3)]
    a = rng.normal(size=(3, 3, 16))
    real = Operands(x, x, *w, rng.normal(size=8), rng.normal(size=8), a, np.zeros((3, 3)),
                    np.full(3, 2.0))
    done = quantise(cfg, real)
    job = done.job
    layer = AttentionLayer(cfg, Mode.CTA, (done.weights,), (done.points,), (job.shifts,))
    again = layer.job(0, job.xkv)
    assert [getattr(again, f"shift_{name}") for name in "qkvso"] == [
        getattr(job, f"shift_{name}") for name in "qkvso"]


@pytest.mark.parametrize("fields, message", [
    (dict(q=32), r"head 1: .*shift_q is 32, must be in 0\.\.31"),
    (dict(o=-9), r"head 1: .*shift_o is -9, must be in -8\.\.7"),
    (dict(s=1.5), r"head 1: shifts\.s is 1\.5, must be an integer"),
])
def test_shifts_refused(attention, fields, message):
    with pytest.raises(ValueError, match=message):
        replace(attention, shifts=changed(attention.shifts, 1, **fields))


def test_points_refused(attention):
    p = attention.points[1]
    for name in ("wq", "k", "wv", "o"):
        with pytest.raises(ValueError, match=r"head 1: shifts\.\w is -?\d+, must be -?\d+ as the"):
            replace(attention, points=changed(attention.points, 1, **{name: getattr(p, name) + 1}))
    for name in ("token", "centroid", "lsh_a"):
        with pytest.raises(ValueError, match=rf"head 1: points\.{name} is .* as in head 0"):
            replace(attention, points=changed(attention.points, 1, **{name: getattr(p, name) + 1}))
    with pytest.raises(ValueError, match=r"points\.token is 65, must be in -64\.\.64"):
        replace(attention, points=changed(attention.points, 1, token=65))
    with pytest.raises(ValueError, match=r"points\.centroid is .* that of the token less 1"):
        replace(attention, points=tuple(replace(p, centroid=p.centroid - 1, wq=p.wq + 1,
                                                wk=p.wk + 1, wv=p.wv + 1)
                                        for p in attention.points))


def test_operands_refused(attention, ffn):
    heads = attention.heads
    with pytest.raises(ValueError, match=r"head 2: wk has values in .*must be in \[-2048, 2047\]"):
        replace(attention, heads=changed(heads, 2, wk=heads[2].wk + 4096))
    with pytest.raises(ValueError, match=r"head 0: wv has shape \(8, 24\), must be \(24, 8\)"):
        replace(attention, heads=changed(heads, 0, wv=heads[0].wv.T))
    lsh = changed(heads[1].lsh, 2, pre=heads[1].lsh[2].pre ^ 1)
    with pytest.raises(ValueError, match="head 1: lsh differs from that of head 0"):
        replace(attention, heads=changed(heads, 1, lsh=lsh))
    with pytest.raises(ValueError, match="shifts has 2 entries, must be 3, one a head"):
        replace(attention, shifts=attention.shifts[:2])
    with pytest.raises(ValueError, match=r"heads has 0 entries"):
        replace(attention, heads=())
    with pytest.raises(ValueError, match="dtype float64, must be raw integers"):
        replace(ffn, weights=replace(ffn.weights, z_bias=ffn.weights.z_bias * 1.0))
    with pytest.raises(ValueError, match="shift_y is 32, must be in 0..31"):
        replace(ffn, shift_y=32)
    with pytest.raises(ValueError, match="gain is True, must be an integer"):
        replace(ffn, gain=True)
    with pytest.raises(ValueError, match="cfg is CTAConfig, must be LookupConfig"):
        replace(ffn, cfg=attention.cfg)


def test_identical(attention, ffn):
    assert identical(attention, replace(attention)) and identical(ffn, replace(ffn))
    assert not identical(attention, ffn)
    heads = attention.heads
    other = heads[2].wv.copy()
    other[0, 0] ^= 1
    assert not identical(attention, replace(attention, heads=changed(heads, 2, wv=other)))
    tables = ffn.weights.tables.copy()
    tables[-1, -1, -1] ^= 1
    assert not identical(ffn, replace(ffn, weights=replace(ffn.weights, tables=tables)))
    assert identical(ffn, replace(ffn, weights=replace(
        ffn.weights, tables=ffn.weights.tables.astype(np.int64))))
