"""What saturates or vanishes on the torch path is told: by fakes, engines, reports, exports."""

import json
import warnings

import pytest
import torch

import sw
from model.border import NotFinite, SaturationWarning
from sw.exported.reader import read
from sw.nn.cta_attention import CTAAttention

DIM, N = 16, 24


class Host(torch.nn.Module):
    """A model of one layer, attention or feed-forward."""

    def __init__(self, part, mode="cta", scale=1.0):
        super().__init__()
        torch.manual_seed(1)
        self.part = part
        self.layer = CTAAttention(DIM, 2, l=3, mode=mode) if part == "attention" else \
            sw.LookupFFN(DIM, h=4, tau=3)
        if part == "attention":
            with torch.no_grad():
                for linear in (self.layer.heads.q, self.layer.heads.k):
                    linear.weight *= scale

    @property
    def quantised(self):
        return self.layer.heads if self.part == "attention" else self.layer

    def forward(self, x, mask=None):
        if self.part == "ffn":
            return self.layer(x)
        return self.layer(x, key_padding_mask=mask)[0]


def tokens(batch=3):
    return torch.randn(batch, N, DIM, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def made(part, mode="cta", scale=1.0):
    model = Host(part, mode, scale).eval()
    if part == "attention" and mode == "cta":
        sw.calibrate_layers(model, lambda: model(tokens()), rl=0.5)
    sw.quantise_model(model, [tokens()])
    return model


LAYERS = [("attention", "cta"), ("attention", "exact"), ("ffn", "cta")]


@pytest.mark.reliability
@pytest.mark.parametrize("part, mode", LAYERS)
@torch.no_grad()
def test_fake_and_engine_count_the_same_at_any_scale(part, mode, tmp_path, tried):
    model = made(part, mode)
    sw.export(model, tmp_path / "e")
    for scale in (0.0, 1.0, 1.5, 4.0, 50.0, 1e6):
        x, layer = scale * tokens(), model.quantised
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            sw.quantise_model(model, [tokens()])
            fake, want = layer.fake, model(x)
            beyond = fake.borders["x"]
            engine, = sw.on_engine(model, tmp_path / "e").values()
            assert torch.equal(model(x), want)
            model(x)
        fmt = fake.cfg.fmt.token if part == "attention" else fake.cfg.fmt.x
        point = fake.points[0].token if part == "attention" else fake.points.x
        raw = torch.floor(x.double() * 2.0**point + 0.5)
        due = int(((raw < fmt.min) | (raw > fmt.max)).sum())
        for call in engine.calls:
            assert (call.token_elements, call.tokens_saturated) == (x.numel(), due)
            assert call.zero_rows == (fake.zero_rows if part == "attention" else 0)
        assert (beyond.elements, beyond.saturated) == (x.numel(), due)
        share = [w for w in told if issubclass(w.category, SaturationWarning) and "x " in
                 str(w.message)]
        # Once by the fake and once by the engine, however many calls.
        assert len(share) == (2 if beyond.share >= 0.01 else 0), scale
        tried("borders: activations", layers=1, scales=1, elements=x.numel())
    assert due > 0.9 * x.numel()


@torch.no_grad()
def test_queries_without_probability_are_told_by_fake_and_call(tmp_path):
    model = made("attention", scale=32)
    fake = model.quantised.fake
    with pytest.warns(SaturationWarning, match="no probability left"):
        model(tokens(4))
    sw.export(model, tmp_path / "e")
    engine, = sw.on_engine(model, tmp_path / "e").values()
    with pytest.warns(SaturationWarning, match="no probability left"):
        model(tokens(4))
    assert engine.calls[0].zero_rows == fake.zero_rows > 0


@pytest.mark.parametrize("part, mode", LAYERS)
@torch.no_grad()
def test_weights_that_training_moved_beyond_their_formats_are_told(part, mode, tmp_path):
    model = made(part, mode)
    weight = model.layer.heads.v.weight if part == "attention" else model.layer.tables
    name = "wv" if part == "attention" else "tables"
    weight *= 3
    with pytest.warns(SaturationWarning, match=name):
        model(tokens())
    fake = model.quantised.fake
    with pytest.warns(SaturationWarning, match=name):
        manifest = sw.export(model, tmp_path / "e")
    entry, = json.loads((tmp_path / "e" / "manifest.json").read_text())["layers"]
    assert entry["borders"] == manifest["layers"][0]["borders"]
    crossing = fake.borders[name]
    assert entry["borders"][name] == {"elements": crossing.elements,
                                      "saturated": crossing.saturated}
    assert crossing.saturated > 0 and crossing.elements == weight.numel()
    layer, = read(tmp_path / "e").values()
    assert layer.borders[name] == crossing
    # All tensors of the fake and of the export agree, the tokens apart.
    assert {key: value for key, value in fake.borders.items() if key != "x"} == layer.borders


@torch.no_grad()
def test_the_report_names_weights_that_a_percentile_saturates():
    model = made("attention")
    with pytest.warns(SaturationWarning, match="wq"):
        report = sw.quantise_model(model, [tokens()], percentile=60.0)
    assert report.rows[0].borders["wq"].saturated > 0
    assert "wq " in str(report) and "saturated" in str(report)


BAD = {"nan": float("nan"), "inf": float("inf"), "-inf": -float("inf")}


@pytest.mark.reliability
@pytest.mark.parametrize("part, mode", LAYERS)
@torch.no_grad()
def test_what_is_not_finite_is_refused_by_name(part, mode, tmp_path, tried):
    model = made(part, mode)
    sw.export(model, tmp_path / "e")
    for on_engine in (False, True):
        if on_engine:
            sw.on_engine(model, tmp_path / "e")
        for name, value in BAD.items():
            for at in ((0, 0, 0), (1, 3, 5), (2, N - 1, DIM - 1)):
                x = tokens()
                x[at] = value
                what = "NaN" if name == "nan" else "infinite"
                with pytest.raises(NotFinite, match=f"^x has 1 {what} of {x.numel()} values"):
                    model(x)
                tried("not finite: torch", layers=1, inputs=1)
        assert torch.isfinite(model(tokens())).all()


@pytest.mark.parametrize("part, mode", LAYERS)
@torch.no_grad()
def test_weights_that_are_not_finite_are_refused_by_name(part, mode, tmp_path):
    model = made(part, mode)
    weight = model.layer.heads.k.weight if part == "attention" else model.layer.tables
    weight.view(-1)[3] = float("nan")
    name = "wk" if part == "attention" else "tables"
    with pytest.raises(ValueError, match=f"^{name} has 1 NaN of {weight.numel()} values"):
        model(tokens())
    with pytest.raises(ValueError, match=f"{name} has 1 NaN"):
        sw.export(model, tmp_path / "e")


@torch.no_grad()
def test_padding_may_hold_anything_and_does_not_count(tmp_path):
    model = made("attention")
    sw.export(model, tmp_path / "e")
    x, mask = tokens(), torch.zeros(3, N, dtype=torch.bool)
    mask[1, -5:] = True
    clean = model(x, mask)
    x[1, -5:] = float("nan")
    assert torch.equal(model(x, mask), clean)
    assert model.quantised.fake.borders["x"].elements == x.numel() - 5 * DIM
    engine, = sw.on_engine(model, tmp_path / "e").values()
    assert torch.equal(model(x, mask), clean)
    assert engine.calls[0].token_elements == x.numel() - 5 * DIM


@pytest.mark.parametrize("part, mode", LAYERS)
def test_calibration_on_what_is_not_finite_names_the_tensor(part, mode):
    model, x = made(part, mode), tokens()
    x[1, 2, 3] = float("nan")
    with pytest.raises(ValueError, match=r"^x under calibration has 1 NaN of \d+ values"):
        sw.quantise_model(model, [x])
