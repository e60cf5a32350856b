import json

import pytest

from model.cta.config import CTAConfig
from sw.explore.space import digest, read_space
from sw.io.errors import InputError
from tests.sw.explore.made import DATA, small


def test_the_grid_has_each_point_once():
    space = small()
    points = [space.at(number) for number in range(space.size)]
    assert space.size == 16 == len({json.dumps(point) for point in points})
    assert points[1]["choices"]["point"] == "exact" and points[1]["hardware"] == points[0]["hardware"]
    assert {digest(point) for point in points} == {digest(json.loads(json.dumps(point))) for point in points}
    assert digest(points[0], "others") != digest(points[0])


@pytest.mark.parametrize("name", [*CTAConfig.PARAMETERS, *CTAConfig.CONSTANTS])
def test_every_parameter_can_be_a_dimension(name):
    """Also one that comes later."""
    assert small(hardware={name: [1, 2]}).dimensions[name] == [1, 2]


@pytest.mark.parametrize("changes, text", [
    ({"engine": "gpu"}, "engine is 'gpu', must be one of cta, lookup"),
    ({"hardware": {"bb": 1}}, "hardware key 'bb' is unknown, must be one of b, d"),
    ({"choices": {"technology": "7nm"}}, "choices.technology is '7nm', must be one of 45nm"),
    ({"workloads": []}, "workloads is missing"),
    ({"workloads": [DATA["workloads"][0], {"d": 8, "n": 8}]}, "workloads have several dw"),
    ({"minimise": ["money"]}, "minimise is ['money'], must be of cycles"),
    ({"minimise": []}, "minimise is [], must be of"),
    ({"constraints": {"area_mm2": "3"}}, "area_mm2 is '3', must be a number from 0 on"),
    ({"constraints": {"area": 3}}, "constraints key 'area' is unknown"),
    ({"clock_mhz": 0}, "clock_mhz is 0, must be above it"), ({"budget": 1}, "space key 'budget' is unknown")])
def test_refused(changes, text):
    with pytest.raises(InputError) as error:
        small(**changes)
    assert text in str(error.value)


def test_a_file(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text('[hardware]\nb = [4, 8]\n[[workloads]]\nnet = "MiniLM"\nn = 128\n')
    assert read_space(path).size == 2
    path.write_text("b = = 3")
    with pytest.raises(InputError, match="is no TOML"):
        read_space(path)
    with pytest.raises(InputError, match="none.toml cannot be read"):
        read_space(tmp_path / "none.toml")
