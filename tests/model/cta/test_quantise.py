"""Quantisation: points fit, scales do not matter, the golden head comes out close to float."""

from dataclasses import replace

import numpy as np
import pytest

from model.cta import head
from model.cta.calibrate import calibrate, targets
from model.cta.config import CTAConfig
from model.cta.job import LSHParams, Mode
from model.cta.lsh import hash_codes
from model.cta.quantise import (
    QuantiseError,
    lsh_a_point,
    lsh_params,
    measure,
    place,
    quantise,
    raw_weights,
    score_scale,
    shifts,
    token_point,
)
from model.cta.reference import attention_cta, attention_exact, synthetic
from sw.io.figures import relative_error

CFG = CTAConfig(b=4, d=16, dw=48, l=6, n=96)


def operands(cfg=CFG, ratio=0.6):
    real = synthetic(cfg.n, cfg.d, cfg.dw)
    found = calibrate(cfg, real, targets(cfg.n, cfg.n, ratio))
    return replace(real, a=found.a, b=found.b, w=found.w)


def scaled(real, token=1.0, weight=1.0):
    """The same attention in other units: tokens times ``token``, Q and K weights over it."""
    x = real.xkv * token
    return replace(real, xkv=x, xq=x, wq=real.wq / token * weight, bq=real.bq * weight,
                   wk=real.wk / token / weight, wv=real.wv / token,
                   b=real.b * token, w=real.w * token)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("token, weight", [(1, 1), (2.0**-20, 1), (3e5, 1), (0.7, 900), (1, 1e-3)])
def test_units_do_not_matter(mode, token, weight):
    real = scaled(operands(), token, weight)
    q = quantise(CFG, real, mode)
    result = head.run(CFG, q.weights, q.job)
    o = q.output(CFG, result.o)
    want = (attention_exact(*real.attention) if mode == Mode.EXACT else
            attention_cta(*real.attention, result.ct0, result.ct1, result.ct2))
    assert relative_error(o, want) < 0.02
    assert not q.saturated
    assert 0 <= q.job.shift_q <= 31 and 0 <= q.job.shift_s <= 31 and -8 <= q.job.shift_o <= 7


def test_every_tensor_uses_its_format():
    """The largest value takes all bits but at most one: else a factor of 2 is given away."""
    q = quantise(CFG, operands())
    f = CFG.fmt
    for raw, fmt in ((q.job.xkv, f.token), (q.weights.wq, f.weight), (q.weights.wk, f.weight),
                     (q.weights.wv, f.weight)):
        assert fmt.max / 2 - 1 <= np.abs(raw).max() <= fmt.max + 1
    assert q.points.centroid == q.points.token - CFG.residual_shift


def test_percentile_saturates_the_rest():
    real = operands()
    x = real.xkv.copy()
    x[0, 0] = 60.0
    real = replace(real, xkv=x, xq=x)
    assert quantise(CFG, real).points.token < quantise(CFG, operands()).points.token
    q = quantise(CFG, real, percentile=99.9)
    assert q.saturated["x"] >= 1
    assert q.points.token == quantise(CFG, operands(), percentile=99.9).points.token


def test_large_biases_cost_weight_bits_only():
    real = replace(operands(), bv=np.full(CFG.d, 5000.0), bq=np.zeros(CFG.d))
    q = quantise(CFG, real, Mode.EXACT)
    o = q.output(CFG, head.run(CFG, q.weights, q.job).o)
    assert relative_error(o, attention_exact(*real.attention)) < 0.002


def test_zero_tensors():
    real = operands()
    zero = np.zeros_like(real.wq)
    for changes in ({"wq": zero, "bq": real.bq * 0}, {"wk": zero}, {"wv": zero, "bv": real.bv * 0},
                    {"xkv": (x := np.zeros_like(real.xkv)), "xq": x}):
        q = quantise(CFG, replace(real, **changes))
        result = head.run(CFG, q.weights, q.job)
        assert np.isfinite(q.output(CFG, result.o)).all()


def test_cross_attention_has_one_token_point():
    real = operands()
    real = replace(real, xq=10 * real.xq[:7])
    q = quantise(CFG, real)
    assert q.job.xq.shape == (7, CFG.dw)
    assert np.abs(CFG.fmt.token.real(q.job.xq, q.points.token) - real.xq).max() < \
        2.0 ** -q.points.token


def test_lsh_params_hash_as_floats_do():
    """But for tokens on the edge of a bucket, where the last bit of A or of a token decides."""
    rng = np.random.default_rng(4)
    for w, scale in ((0.3, 0.1), (1.0, 1.0), (900.0, 500.0), (5.0, 1.0)):
        x = rng.normal(size=(300, CFG.dw)) * scale
        a, b = rng.normal(size=(CFG.l, CFG.dw)), rng.uniform(0, w, CFG.l)
        token = token_point(CFG, x, x)
        p = lsh_params(CFG, a, b, w, token, lsh_a_point(CFG, token, a, w))
        assert isinstance(p, LSHParams) and 2048 <= p.inv_w <= 4095
        assert 0 <= p.pre <= 31 and 0 <= p.post <= 31
        codes, saturated = hash_codes(CFG, CFG.fmt.token.quantise(x, token)[0], p)
        want = np.floor((x @ a.T + b) / w)
        assert saturated == 0
        assert np.mean(codes != want) < 0.05 and np.abs(codes - want).max() <= 1


def test_what_cannot_be_represented_is_named():
    real = operands()
    with pytest.raises(QuantiseError, match="w = 1e-30 cannot be represented"):
        quantise(CFG, replace(real, w=np.full(3, 1e-30)))
    with pytest.raises(QuantiseError, match="scores reach beyond"):
        quantise(CFG, replace(real, wq=real.wq * 1e6, bq=real.bq * 1e6))


@pytest.mark.parametrize("factor, query", [(1e-4, 1), (1e-7, 1), (1e-9, 1), (1e-9, 1e-5)])
def test_keys_of_next_to_nothing(factor, query):
    """Scores so small that the shift runs out: K gives up bits, then Wk, and O is a mean of V."""
    real = operands()
    real = replace(real, wk=real.wk * factor, wq=real.wq * query, bq=real.bq * query)
    q = quantise(CFG, real, Mode.EXACT)
    assert max(q.job.shift_s, q.job.shift_k) <= 31
    o = q.output(CFG, head.run(CFG, q.weights, q.job).o)
    assert relative_error(o, attention_exact(*real.attention)) < 0.03


def test_shifts_follow_from_the_points():
    real = operands()
    for mode in Mode:
        q = quantise(CFG, real, mode)
        assert shifts(CFG, q.points) == {
            name: getattr(q.job, name)
            for name in ("shift_q", "shift_k", "shift_v", "shift_s", "shift_o")}
    fold, power = score_scale(CFG)
    assert 0.7 < fold < 1.43
    assert fold * 2.0**power == pytest.approx(1 / np.log(2) / np.sqrt(CFG.d))


def test_points_of_several_passages_are_those_of_the_largest():
    """Sizes may come from anywhere; weights then come in their own integers."""
    real = operands()
    louder = replace(real, xq=3 * real.xkv, xkv=3 * real.xkv)
    sizes = [measure(CFG, one) for one in (real, louder)]
    points = place(CFG, sizes[1], lambda token: lsh_a_point(CFG, token, real.a, 1.0))
    assert points.token <= place(CFG, sizes[0], lambda token: 0).token
    weights, borders = raw_weights(CFG, real, points)
    assert borders["wk"].elements == real.wk.size and not borders.saturated and np.array_equal(
        weights.wk, CFG.fmt.weight.quantise(real.wk, points.wk)[0])
    lsh = weights.lsh
    assert raw_weights(CFG, real, points, lsh[::-1])[0].lsh == lsh[::-1]
