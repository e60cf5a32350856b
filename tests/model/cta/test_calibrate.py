"""Calibration meets the compression asked for, on the path that the hardware takes."""

from dataclasses import replace

import numpy as np
import pytest

from model.cta import head
from model.cta.calibrate import calibrate, draw, projection, targets
from model.cta.config import CTAConfig
from model.cta.cost import attention_ratio, linear_ratio
from model.cta.quantise import quantise
from model.cta.reference import synthetic

CFG = CTAConfig(b=4, d=16, dw=32, l=4, n=128, tokens=178, k0=128, k1=128, k2=128)


def reached(cfg, real, found):
    real = replace(real, a=found.a, b=found.b, w=found.w)
    q = quantise(cfg, real, a_point=found.a_point)
    result = head.run(cfg, q.weights, q.job)
    return result.k0, result.k1, result.k2


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.58, 0.9])
def test_compression_is_met(ratio):
    real = synthetic(CFG.n, CFG.d, CFG.dw)
    want = targets(CFG.n, CFG.n, ratio)
    found = calibrate(CFG, real, want)
    k = reached(CFG, real, found)
    assert k == found.k
    assert k == pytest.approx(want, abs=2)
    assert linear_ratio(CFG.n, CFG.n, k[0], k[1] + k[2]) == pytest.approx(ratio, abs=0.03)


def test_each_level_has_its_own_w():
    found = calibrate(CFG, synthetic(CFG.n, CFG.d, CFG.dw), (60, 60, 30))
    assert found.w[2] < 0.8 * found.w[1]


def test_given_a_and_b_are_kept():
    rng = np.random.default_rng(0)
    real = synthetic(CFG.n, CFG.d, CFG.dw)
    a, b = rng.normal(size=(3, CFG.l, CFG.dw)), rng.uniform(0, 3, (3, CFG.l))
    found = calibrate(CFG, real, (40, 30, 20), a=a, b=b)
    assert np.array_equal(found.a, a) and np.array_equal(found.b, b)
    assert reached(CFG, real, found) == found.k == pytest.approx((40, 30, 20), abs=3)


def test_cross_attention_calibrates_queries_alone():
    real = synthetic(CFG.n, CFG.d, CFG.dw)
    real = replace(real, xq=3 * real.xq[:50])
    found = calibrate(CFG, real, (20, 60, 8))
    assert reached(CFG, real, found) == found.k == pytest.approx((20, 60, 8), abs=2)


def test_draw_is_seeded_and_shared():
    a, offset = draw(CFG, 5)
    assert np.array_equal(a[0], a[2]) and np.array_equal(a, draw(CFG, 5)[0])
    assert not np.array_equal(*draw(CFG, 5, shared=False)[0][:2])
    assert offset.shape == (3, CFG.l) and (0 <= offset).all() and (offset < 1).all()


def test_projection_follows_the_head():
    """Tokens that differ only where the weights do not look fall into one bucket."""
    real = synthetic(CFG.n, CFG.d, CFG.dw)
    w = real.wq.copy()
    w[CFG.dw // 2:] = 0
    a = projection(CFG, replace(real, wq=w, wk=w, wv=w))
    assert a.shape == (3, CFG.l, CFG.dw)
    assert np.abs(a[:, :, CFG.dw // 2:]).max() < 1e-9 < np.abs(a[:, :, :CFG.dw // 2]).max()
    assert not projection(CFG, replace(real, wq=0 * w, wk=0 * w, wv=0 * w)).any()


def test_ratios_of_the_paper():
    assert linear_ratio(512, 512, 322, 287) == pytest.approx(0.583, abs=1e-3)
    assert attention_ratio(512, 512, 200, 241) == pytest.approx(0.184, abs=1e-3)
    for ratio in (0.0, -1, 1.2):
        with pytest.raises(ValueError, match=f"compression is {ratio}"):
            targets(8, 8, ratio)
