"""The ideal array against the CTA paper's counts."""

from model.cta.config import CTAConfig
from model.cta.cost import ideal_cycles
from sw.rivals.ideal import Ideal
from sw.rivals.published import OF_IDEAL
from sw.rivals.rival import Layer

RATIOS = {"CTA-0": (0.583, 0.352), "CTA-0.5": (0.522, 0.275), "CTA-1": (0.444, 0.184)}
"""RL, RA of Sec. VI-B."""


def test_cycles_are_the_multiplications_of_section_3():
    """3 n d^2 and 2 n^2 d on b d multipliers."""
    n, d = 512, 64
    assert Ideal().cycles(Layer(n)) == (3 * n * d * d + 2 * n * n * d) / 512 == 77824
    assert Ideal(1024).cycles(Layer(n, 3, dw=128)) == 3 * (3 * n * d * 128 + 2 * n * n * d) / 1024
    assert Ideal(256).cycles(Layer(100, m=30)) == -(-ideal_cycles(CTAConfig(b=4), 100, 30) // 1)


def test_no_point_of_the_paper_is_below_the_multiplications_left():
    """What RL and RA leave, by all: the paper's latencies are 2 to 4 points above, hashing and bubbles."""
    products = Ideal().multiplications(Layer(512))
    for point, (rl, ra) in RATIOS.items():
        left = rl * products["linears"] + ra * (products["scores"] + products["outputs"])
        assert 0 < OF_IDEAL[point] - left / sum(products.values()) < 0.04


def test_accesses_are_each_operand_once():
    assert Ideal().accesses(Layer(512)) == {"tokens": 512, "weights": 192, "outputs": 512}
    assert Ideal().accesses(Layer(512, 2, m=10, dw=128))["tokens"] == (512 + 10) * 2
