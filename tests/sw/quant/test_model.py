"""quantise_model: which layers, on what, what is left in float; quantisation-aware training."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from model.cta.config import CTAConfig, CTAFormats
from model.cta.job import Mode
from model.cta.quantise import quantise, shifts
from model.fixed import Format
from model.lookup.config import LookupFormats
from model.lookup.quantise import quantise as quantise_layer
from sw.nn.cta_attention import CTAAttention
from sw.nn.encoder_layer import EncoderLayer
from sw.nn.ffn.lookup import LookupFFN
from sw.nn.ffn.registry import make_ffn
from sw.quant.cta import FakeCTA, operands
from sw.quant.lookup import FakeLookup
from sw.quant.model import fakes, float_model, quantise_model

D, HEADS, N = 32, 4, 20


class Encoder(nn.Module):
    """Two layers and a norm, as in the language model."""

    def __init__(self, mode="cta", ffn=lambda seed: LookupFFN(D, 8, 4, block=8, seed=seed)):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(
            EncoderLayer(D, HEADS, ffn(seed), CTAAttention(D, HEADS, l=4, mode=mode, seed=seed),
                         dropout=0.1) for seed in range(2))
        self.norm = nn.LayerNorm(D)

    def forward(self, x, padding=None):
        for layer in self.layers:
            x = layer(x, padding)
        return self.norm(x)


def batches(count=3, n=N):
    generator = torch.Generator().manual_seed(4)
    return [torch.randn(2, n, D, generator=generator) for _ in range(count)]


NAMES = [f"layers.{i}.{part}" for i in range(2) for part in ("attention.heads", "ffn")]


@pytest.mark.parametrize("mode", ["cta", "exact"])
@pytest.mark.parametrize("options", [{}, {"percentile": 99.9}, {"method": "mse"}])
def test_all_layers_of_an_encoder(mode, options):
    model, data = Encoder(mode).train(), batches()
    report = quantise_model(model, data, **options)
    assert sorted(report.quantised) == sorted(NAMES) and report.kept == {}
    assert "quantised 4 of 4 layers" in str(report) and "CTA: d 8, dw 32, n 20" in str(report)
    assert model.training and model.layers[0].attention.training
    assert {type(fake) for fake in fakes(model).values()} == {FakeCTA, FakeLookup}
    model.eval()
    quantised = model(data[0])
    taken = float_model(model)
    assert sorted(taken) == sorted(NAMES) and fakes(model) == {}
    exact = model(data[0])
    # The cta hash at its guessed width puts nearly every token in a cluster of its own.
    error = torch.linalg.norm(quantised - exact) / torch.linalg.norm(exact)
    assert 0 < error < 0.1
    state = model.state_dict()
    model.layers[0].ffn.fake = taken["layers.0.ffn"]
    assert model.state_dict().keys() == state.keys()


def test_points_of_one_passage_are_those_of_the_layer_rules():
    """The rules of model.cta.quantise and model.lookup, which this calibration goes by."""
    model, (x,) = Encoder().double(), [batches(1)[0][:1].double()]
    with torch.no_grad():                    # the factor in Wq then takes a bit of head 0
        model.layers[0].attention.heads.q.weight *= 1.045
        model.layers[0].attention.heads.k.bias += 3          # takes no part
    quantise_model(model, [x])
    heads, ffn = model.layers[0].attention.heads, model.layers[0].ffn
    fake, model.layers[0].attention.heads.fake = heads.fake, None
    seen = model.layers[0].norm1(x)[0].detach().numpy()
    for h, points in enumerate(fake.points):
        whole = quantise(fake.cfg, replace(operands(heads, h), xq=seen, xkv=seen))
        assert whole.points == points
        export = fake.layer(heads)
        assert shifts(fake.cfg, points)["shift_s"] == whole.job.shift_s == export.shifts[h].s
        assert all(np.array_equal(getattr(export.heads[h], name), getattr(whole.weights, name))
                   for name in ("wq", "wk", "wv", "bq", "bv"))
        assert all(np.array_equal(a.a, b.a) and a.inv_w == b.inv_w
                   for a, b in zip(export.heads[h].lsh, whole.weights.lsh))
    model.eval()
    inputs = []
    ffn.fake, lookup_fake = None, ffn.fake
    hook = ffn.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    model(x)
    hook.remove()
    q = quantise_layer(lookup_fake.cfg, ffn.operands(inputs[0]))
    mine = lookup_fake.layer(ffn)
    assert (mine.point_y, mine.shift_y, mine.gain) == (q.points.y, q.job.shift_y, q.job.gain)
    for name in ("w", "z_bias", "tables", "shift_s", "shift_block", "shift_hadamard", "shift_z"):
        assert np.array_equal(getattr(mine.weights, name), getattr(q.weights, name)), name


def test_several_sequences_count_all():
    """A longer or larger sequence anywhere widens n and the points."""
    data = batches()
    small, large = Encoder().eval(), Encoder().eval()
    quantise_model(small, data[:1])
    quantise_model(large, [*data, 50 * batches(1, n=31)[0]])
    a, b = (m.layers[0].attention.heads.fake for m in (small, large))
    assert (a.cfg.n, b.cfg.n) == (20, 31)
    assert a.points[0].token >= b.points[0].token
    assert a.points[0].token == a.points[3].token


def test_padding_does_not_count():
    model, x = Encoder().eval(), batches(1)[0]
    padding = torch.zeros(2, N, dtype=torch.bool)
    padding[:, 12:] = True
    x[:, 12:] *= 1000
    quantise_model(model, [{"x": x, "padding": padding}])
    assert model.layers[0].attention.heads.fake.cfg.n == 12
    other = Encoder().eval()
    quantise_model(other, [(x[:, :12],)])
    mine, theirs = (m.layers[0].attention.heads.fake.points for m in (model, other))
    assert mine == theirs


class Switching(nn.Module):
    """Only one of its layers is ever reached."""

    def __init__(self):
        super().__init__()
        self.used, self.idle = (LookupFFN(D, 4, 4, block=8, seed=1) for _ in range(2))

    def forward(self, x):
        return self.used(x)


def test_what_stays_in_float_says_why():
    seeded = iter([make_ffn("vanilla", D), LookupFFN(D, 8, 4, nn.Linear(D, 32))])
    model = Encoder(ffn=lambda _: next(seeded))
    model.layers[1].attention = CTAAttention(D, 16, l=4)            # head dimension 2
    report = quantise_model(model, batches(1))
    assert report.quantised == ("layers.0.attention.heads",)
    assert "no engine computes" in report.kept["layers.0.ffn"]
    assert "projection is Linear" in report.kept["layers.1.ffn"]
    assert "d is 2, must be one of" in report.kept["layers.1.attention.heads"]
    assert model.layers[1].attention.heads.fake is None
    wide = CTAAttention(16 * 17, 34, l=4)
    assert "dw is 272, must be a multiple T*d of d = 8 with T in 1..16" in quantise_model(
        nn.Sequential(wide), [torch.randn(1, 4, 272)]).kept["0.heads"]
    switching = Switching()
    assert quantise_model(switching, batches(1)).kept == {
        "idle": "no tokens were recorded: the layer was not run"}
    huge = Encoder()
    with torch.no_grad():
        huge.layers[0].attention.heads.q.weight.mul_(1e5)
    assert "scores reach beyond" in quantise_model(
        huge, batches(1)).kept["layers.0.attention.heads"]


def test_illegal_arguments_change_nothing():
    model, data = Encoder(), batches(1)
    quantise_model(model, data)
    before = fakes(model)
    for kwargs, message in (({"method": "best"}, "method is 'best'"),
                            ({"percentile": 0}, "percentile is 0")):
        with pytest.raises(ValueError, match=message):
            quantise_model(model, data, **kwargs)
    with pytest.raises(ValueError, match="batches is empty"):
        quantise_model(model, [])

    def broken(model, batch):
        model(batch)
        raise RuntimeError("lost")
    with pytest.raises(RuntimeError, match="lost"):
        quantise_model(model, data, broken)
    data[0][0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="must be finite"):
        quantise_model(model, data)
    assert fakes(model) == before


def test_formats_and_engine_options():
    model = Encoder()
    quantise_model(model, batches(1), attention={"n": 64, "b": 4}, ffn={"multipliers": 16})
    assert fakes(model)["layers.0.attention.heads"].cfg == CTAConfig(b=4, d=8, dw=32, l=4, n=64, k0=64, k1=64,
                                                                                  k2=64)
    assert fakes(model)["layers.0.ffn"].cfg.multipliers == 16
    report = quantise_model(model, batches(1), attention={"d": 16})
    assert "d is 16, must be 8 as in the layer" in report.kept["layers.0.attention.heads"]


LOW = {"attention": {"fmt": replace(CTAFormats(), weight=Format(True, 4, 3),
                                    qkv=Format(True, 5, 2), output=Format(True, 5, 2))},
       "ffn": {"fmt": replace(LookupFormats(), weight=Format(True, 4, 3), table=Format(True, 3, 2),
                              output=Format(True, 6, 3))}}


@pytest.mark.parametrize("mode", ["cta", "exact"])
def test_training_with_the_fakes_on_makes_good_for_low_precision(mode):
    """Of a teacher, whose copy is quantised to a few bits: the error after training against that
    right after calibration, on sequences that neither has seen."""
    teacher, data = Encoder(mode).eval(), batches(9)
    student = copy.deepcopy(teacher)
    report = quantise_model(student, data[:2], **LOW)
    assert len(report.quantised) == 4

    def loss(x):
        return ((student(x) - teacher(x).detach()) ** 2).mean()

    with torch.no_grad():
        before = float(loss(data[-1]))
    optimiser = torch.optim.Adam(student.parameters(), lr=2e-3)
    for step in range(40):
        optimiser.zero_grad()
        loss(data[step % 8]).backward()
        optimiser.step()
    with torch.no_grad():
        after = float(loss(data[-1]))
    assert before > 1e-3 and after < 0.9 * before, (before, after)
    export = student.layers[0].attention.heads.fake.layer(student.layers[0].attention.heads)
    assert export.mode == (Mode.CTA if mode == "cta" else Mode.EXACT)
