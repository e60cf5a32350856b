import pytest

from model.accelerator import FeedForward
from model.lookup.accelerator import LookupAccelerator
from model.lookup.config import LookupConfig
from sw.explore import lookup
from sw.explore.space import space
from sw.io.errors import InputError

DATA = {"engine": "lookup", "hardware": {"h": 8, "tau": 4, "multipliers": 16, "lanes": 8},
        "workloads": [{"d": 64, "tokens": 4, "layers": 3}]}


def test_figures_are_those_of_the_accelerator():
    found, engine = lookup.price(space(DATA).at(0)), LookupAccelerator(
        LookupConfig(d=64, h=8, tau=4, multipliers=16, lanes=8))
    assert found["cycles"] == 3 * engine.cycles(FeedForward(4))
    assert found["area_mm2"] == pytest.approx(1e-6 * engine.area("45nm"))
    assert 0 < found["useful"] < 1 and found["useful"] + sum(found["losses"].values()) == pytest.approx(1)
    assert found["energy_uj"] is None is found["error"] and found["energy_why"] and found["error_why"]


def test_another_dimension_is_refused():
    with pytest.raises(InputError, match="workload 0 has d 64, the engine 128"):
        lookup.price(space(DATA | {"hardware": {"d": 128}}).at(0))
