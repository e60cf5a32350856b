"""Energy from the cycle model: every cycle has an operation, and what has no figures is refused."""

import pytest

from model.accelerator import Attention, NotMeasured
from model.cta.accelerator import CTAAccelerator
from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.energy import energy_data, job_pj, operations


def test_every_cycle_has_an_operation():
    cost = head_cycles(CTAConfig(), 512, 512, 322, 258, 29)
    found = operations(cost)
    assert sum(found.values()) == cost.total and min(found.values()) >= 0
    assert found["hash"] == 3 * 512 and set(found) <= set(energy_data()["pj_a_cycle"])


def test_a_job_takes_what_its_operations_take():
    cfg = CTAConfig()
    cost, figures = head_cycles(cfg, 512, 512, 322, 258, 29), energy_data()["pj_a_cycle"]
    expected = sum(figures[name] * cycles for name, cycles in operations(cost).items())
    assert job_pj(cfg, cost, "45nm") == pytest.approx(expected)
    assert CTAAccelerator(cfg).energy(Attention(512, clusters=(322, 258, 29)), "45nm") == pytest.approx(
        expected * 1e-12)
    assert CTAAccelerator(cfg).energy(Attention(512, 12), "45nm") > 12 * CTAAccelerator(cfg).energy(
        Attention(512, clusters=(322, 258, 29)), "40nm")


def test_what_has_no_figures():
    small = CTAConfig(b=2, d=8)
    with pytest.raises(NotMeasured, match="is known for configuration [0-9a-f]+ alone"):
        CTAAccelerator(small).energy(Attention(8), "45nm")
    with pytest.raises(NotMeasured, match="is known in 45nm, 40nm alone"):
        CTAAccelerator(CTAConfig()).energy(Attention(8), "sky130")
