"""CTA as published, against the figures of its Sec. VI."""

import pytest

from model.cta.cost import OPERATING_POINTS
from sw.io.errors import InputError
from sw.rivals.ideal import Ideal
from sw.rivals.published import ACCELERATORS, GPU_SPEEDUP, OF_IDEAL, PublishedCTA
from sw.rivals.rival import Layer

LAYER = Layer(512)


def rival(point):
    return PublishedCTA(clusters=(point.k0, point.k1, point.k2), point=point.name)


@pytest.mark.parametrize("point", OPERATING_POINTS, ids=lambda point: point.name)
def test_latency_by_that_of_the_ideal_accelerator(point):
    """41, 34 and 26% of Sec. VI-C; the paper's averages are over lengths, so two points either way."""
    assert rival(point).cycles(LAYER) / Ideal().cycles(LAYER) == pytest.approx(OF_IDEAL[point.name], abs=0.02)


def test_speedups_over_the_gpu_have_the_ratios_of_the_latencies():
    """27.7, 33.8 and 44.2 times: one GPU, so products with our cycles are one number, within 5%."""
    gpu = [GPU_SPEEDUP[p.name] * rival(p).cycles(LAYER) / ACCELERATORS for p in OPERATING_POINTS]
    assert max(gpu) / min(gpu) < 1.05
    # 12 units at 1 GHz: the V100 takes some 75 microseconds a head, 3.6 TFLOP/s of dw = 1024.
    assert 70e3 < sum(gpu) / 3 < 82e3


def test_more_clusters_need_more_accesses():
    found = [sum(rival(point).accesses(LAYER).values()) for point in OPERATING_POINTS]
    assert found == sorted(found, reverse=True)


def test_area():
    assert PublishedCTA().area("40 nm") == pytest.approx(2.150e6)


def test_table_1_has_no_row_for_wide_tokens():
    with pytest.raises(InputError, match="Table I is for dw = d, and the layer has dw 128, d 64"):
        PublishedCTA(clusters=(2, 2, 1)).cycles(Layer(8, dw=128))
