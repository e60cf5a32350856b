"""Observers: what has to fit, against percentiles and squared errors of the data itself."""

import numpy as np
import pytest
import torch

from model.cta.quantise import point
from model.fixed import Format
from sw.nn.cta_heads import CTAHeads
from sw.quant.cta import engine
from sw.quant.observe import HeadsRecorder, LookupRecorder, Observer, Rule

FMT = Format(True, 8, 4)
RNG = np.random.default_rng(0)
DATA = {
    "normal": RNG.normal(size=20000),
    "heavy": RNG.standard_t(2.5, size=20000),
    "one outlier": np.r_[RNG.normal(size=20000), 40.0],
    "uniform": RNG.uniform(-3, 3, 20000),
    "tiny": 2.0**-30 * RNG.normal(size=5000),
    "few": np.array([0.0, 0.3, -0.7]),
}


def seen(rule, data, pieces=7):
    observer = Observer(rule)
    for piece in np.array_split(data, pieces):
        observer.add(piece[None])
    return observer


@pytest.mark.parametrize("name", DATA)
def test_largest(name):
    data = DATA[name]
    observer = seen(Rule(), data)
    assert observer.largest[0] == observer.fit(FMT)[0] == np.abs(data).max()


@pytest.mark.parametrize("name", ["normal", "heavy", "one outlier", "uniform", "tiny"])
@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.0, 99.9])
def test_percentile(name, percentile):
    data = DATA[name]
    fit = seen(Rule("percentile", percentile), data).fit(FMT)[0]
    want = np.percentile(np.abs(data), percentile)
    assert 0.999 * want <= fit <= 1.05 * want
    assert fit <= np.abs(data).max()


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("width", [4, 8, 12])
def test_least_squared_error(name, width):
    """The point chosen is the best of all, or next to as good."""
    data, fmt = DATA[name], Format(True, width)
    observer = seen(Rule("mse"), data)
    chosen = point(fmt, observer.fit(fmt)[0])

    def error(at):
        return np.mean((fmt.real(fmt.quantise(data, at)[0], at) - data)**2)
    best = min(error(at) for at in range(chosen - 4, chosen + 5))
    assert error(chosen) <= 1.1 * best
    if name == "one outlier" and width == 8:
        assert chosen > point(fmt, np.abs(data).max())       # the outlier may saturate


def test_groups_are_apart():
    for rule in (Rule(), Rule("percentile", 99.0), Rule("mse")):
        observer = Observer(rule, 3)
        rows = np.stack([DATA["normal"], 10 * DATA["uniform"], np.zeros(20000)])
        observer.add(rows[:, :9000])
        observer.add(rows[:, 9000:].reshape(3, 1000, 11))
        single = [seen(rule, row).fit(FMT)[0] for row in rows]
        assert observer.fit(FMT).tolist() == single and single[2] == 0


def test_mostly_zeros():
    data = np.r_[np.zeros(1000), 3.0]
    assert seen(Rule("percentile", 99.0), data).fit(FMT)[0] == 3.0


def test_what_is_refused():
    with pytest.raises(ValueError, match="method is 'max', must be one of"):
        Rule("max")
    for percentile in (0.0, -1, 100.1, float("nan")):
        with pytest.raises(ValueError, match="must be in \\(0, 100\\]"):
            Rule("percentile", percentile)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="must be finite"):
            Observer(Rule()).add(np.array([[bad]]))
    heads = CTAHeads(16, 2, l=2)
    with pytest.raises(ValueError, match="no tokens were recorded"):
        HeadsRecorder(heads, Rule()).points(heads, engine(heads))


def test_a_recorder_leaves_the_layer_as_it_was():
    """Outputs and gradients are the float layer's; the hook stays where it was."""
    from sw.nn.ffn.lookup import LookupFFN
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    for layer, kind in ((CTAHeads(16, 2, l=2), HeadsRecorder),
                        (LookupFFN(16, 4, 3, block=4), LookupRecorder)):
        want = layer(x)
        layer.fake = recorder = kind(layer, Rule())
        got = layer(x)
        assert torch.equal(got, want) and layer.fake is recorder and got.requires_grad
        with pytest.raises(ValueError):
            layer(x[..., :7])
        assert layer.fake is recorder
