import pytest

from model.accelerator import Attention
from model.cta.accelerator import CTAAccelerator
from model.cta.config import CTAConfig
from model.errors import ConfigError
from sw.explore import cta
from sw.explore.space import space
from sw.explore.workload import clusters
from sw.io.errors import InputError
from sw.io.shipped import HEAD
from sw.studies.bench import layers
from tests.sw.explore.made import DATA, small


def point(hardware=None, workload=None, **choices):
    """One point of the small space."""
    return space({"workloads": [{**DATA["workloads"][0], **(workload or {})}],
                  "hardware": hardware or {}, "choices": choices}).at(0)


@pytest.mark.parametrize("net", layers.NETS, ids=lambda net: net.name)
@pytest.mark.parametrize("name", ["CTA-0.5", "exact"])
def test_cycles_are_those_of_the_bench(net, name):
    size = next((size for size in layers.sizes([net], (128,), [name])), None)
    if size is None:
        pytest.skip("the bench has single heads without exact attention")
    row = layers.measure(size, simulate=False)
    found = cta.price(point({"lanes": 16, "sets": 2}, {
        "dw": net.dw, "d": net.d, "heads": net.heads, "shared": net.shared, "n": size.n, "layers": 3},
        point=name))
    assert found["cycles"] == 3 * row["cycles"]
    assert found["useful"] == pytest.approx(row["useful"])
    assert sum(found["losses"].values()) + found["useful"] == pytest.approx(1, abs=0.01)


def test_area_and_energy_are_those_of_the_accelerator():
    one = point({}, {"d": 64, "dw": 64, "n": 512, "heads": 4, "layers": 1}, point="CTA-0")
    engine = CTAAccelerator(CTAConfig())
    work = Attention(512, 4, clusters=clusters(one["workloads"][0], "CTA-0"))
    found = cta.price(one)
    assert found["area_mm2"] == pytest.approx(1e-6 * engine.area("45nm"))
    # The heads of the bench share A, those of the accelerator do not: a few loads differ.
    assert found["energy_uj"] == pytest.approx(1e6 * engine.energy(work, "45nm"), rel=0.002)
    assert found["energy_scaled_uj"] == pytest.approx(found["energy_uj"]) and "energy_why" not in found


def test_energy_is_not_guessed():
    found = cta.price(point({"b": 4}))
    assert found["energy_uj"] is None and "is known for configuration" in found["energy_why"]
    assert found["energy_scaled_uj"] > 0
    found = cta.price(point(technology="sky130"))
    assert found["energy_uj"] is found["energy_scaled_uj"] is None
    assert "45nm, 40nm alone" in found["energy_why"]


def test_an_area_that_was_not_fitted_is_none():
    found = cta.price(point({"exp_mantissa": 10}))
    assert found["area_mm2"] is None and "fitted to the default formats" in found["area_why"]


OTHERS = {"tokens": 600, "exact": 100, "k0": 65, "k1": 65, "k2": 65, "sets": 3, "lanes": 16,
          "exp_mantissa": 10, "recip_index": 6, "mean_reciprocal_frac": 8, "result_guard": 4}


@pytest.mark.parametrize("name", sorted(cta.INDIFFERENT))
@pytest.mark.parametrize("program", ["table1", "weights"])
def test_what_shares_a_walk_has_the_same_cycles(name, program):
    """The only way in which a walk that is kept could be wrong."""
    one = {"program": program}
    for choice in ("CTA-0", "exact"):
        found = []
        for hardware in (one, one | {name: OTHERS[name]}):
            cta._head.cache_clear()
            found.append({key: cta.price(point(hardware, point=choice))[key] for key in ("cycles", "losses")})
        assert found[0] == found[1]


def test_what_matters_is_no_walk_of_another():
    cycles = [cta.price(point(hardware))["cycles"] for hardware in (
        {}, {"b": 4}, {"pag": 4}, {"ahead": False}, {"program": "table1"}, {"digit": 1})]
    assert len(set(cycles)) == len(cycles)


@pytest.mark.parametrize("hardware, workload, text", [
    ({"n": 32}, {}, "small has n = 64, the engine takes at most 32 tokens"),
    ({"d": 32}, {}, "small has d 16 and dw 32, the engine 32 and 32"),
    ({"k1": 20}, {}, "small has 32 clusters in k1, the engine has room for 20"),
    ({"exact": 8}, {"point": "exact"}, "small is exact with n = 64, the engine has exact = 8")])
def test_a_job_without_room_is_refused(hardware, workload, text):
    with pytest.raises(InputError) as error:
        cta.price(point(hardware, workload))
    assert text in str(error.value)
    with pytest.raises(ConfigError, match="b is 5"):
        cta.price(point({"b": 5}))


def test_costs_of_layers_are_added():
    whole, one = cta.price(small().at(0)), DATA["workloads"][0]
    parts = [space(DATA | {"workloads": [one | {"layers": count}]}).at(0) for count in (1, 3)]
    assert [cta.price(part)["cycles"] for part in parts] == [whole["cycles"] // 2, whole["cycles"] * 3 // 2]
    mixed = [one | {"layers": 1, "point": name} for name in ("exact", "CTA-1")]
    found = cta.price(space(DATA | {"workloads": mixed}).at(0))
    assert found["error_why"] == "small has no operands to measure it on"


def test_the_error_is_measured_on_real_heads(monkeypatch):
    head = {"d": 64, "n": 512, "operands": str(HEAD), "heads": 1}
    found = {name: cta.price(space({"workloads": [head | {"point": name}]}).at(0))["error"]
             for name in ("exact", "CTA-0", "CTA-1")}
    assert found["exact"] == 0 < found["CTA-0"] < found["CTA-1"] < 0.5
    mixed = [head | {"point": "exact", "layers": 3}, head | {"point": "CTA-0", "layers": 1}]
    assert cta.price(space({"workloads": mixed}).at(0))["error"] == pytest.approx(found["CTA-0"] / 4)
    monkeypatch.setattr(cta, "cluster_error", lambda *_, **__: None)
    one = space({"workloads": [head | {"clusters": [300, 1, 32]}]}).at(0)
    assert cta.price(one)["error_why"] == "clusters 300, 1, 32 are out of reach on these operands"
