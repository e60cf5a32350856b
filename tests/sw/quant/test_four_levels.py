"""One layer at four levels: torch in floats, torch in fake quantisation, golden model, RTL.

From the second on every bit is the same. Between the first and the second lies the error of the
formats, which is bounded here on the clusters and rows that the integers take.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model.cta import head
from model.cta import reference as cta
from model.lookup import hash as hashing
from model.lookup import layer
from model.lookup import reference as lookup
from sw.demo.encoder import CHECKPOINT
from sw.demo.head import HEAD
from sw.demo.lookup import LAYER
from sw.io.figures import relative_error
from sw.lm import checkpoint, data
from sw.nn.cta_attention import CTAAttention
from sw.nn.cta_heads import CTAHeads
from sw.nn.encoder_layer import EncoderLayer
from sw.nn.ffn.lookup import LookupFFN
from sw.nn.widths import calibrate
from sw.quant.cta import operands
from sw.quant.model import float_model, quantise_model
from sw.run.head_file import read_head
from sw.run.layer_file import read_layer

# Engines of tests.rtl ("narrow" and "copies"), so that each is built once: three heads of 8.
D, HEADS, N, KINDS, MASK = 24, 3, 40, 10, 10
ATTENTION = {"b": 2, "n": 48, "pag": 2, "sets": 2, "lanes": 4, "digit": 4}
FFN = {"multipliers": 32, "lanes": 32, "batch": 4, "outstanding": 4}


class Model(nn.Module):
    """A masked language model of one encoder layer."""

    def __init__(self, mode):
        super().__init__()
        torch.manual_seed(3)
        self.token = nn.Embedding(KINDS + 1, D)
        self.position = nn.Parameter(0.3 * torch.randn(N, D))
        self.layer = EncoderLayer(
            D, HEADS, LookupFFN(D, 13, 5, block=8, seed=3),
            CTAAttention(D, HEADS, l=5, mode=mode, seed=3), dropout=0.0)
        self.head = nn.Linear(D, KINDS)

    def forward(self, ids):
        return self.head(self.layer(self.token(ids) + self.position))


def batch(seed, size=8):
    """Words of five letters, again and again, in which some letters are masked."""
    generator = torch.Generator().manual_seed(seed)
    word = torch.randint(KINDS, (size, 5), generator=generator)
    target = word.repeat(1, N // 5)
    where = torch.rand(target.shape, generator=generator) < 0.2
    return target.masked_fill(where, MASK), where, target


def loss(model, seed):
    ids, where, target = batch(seed)
    return F.cross_entropy(model(ids)[where], target[where])


def train(model, steps, start, rate):
    optimiser = torch.optim.Adam(model.parameters(), rate)
    for step in range(steps):
        optimiser.zero_grad()
        loss(model, start + step).backward()
        optimiser.step()


@pytest.fixture(scope="module", params=["cta", "exact"])
def trained(request):
    """A model after float training, quantisation and training with the fakes on; a held-out batch,
    and what each of the two layers sees of it and gives."""
    model = Model(request.param)
    train(model, 60, 0, 1e-2)
    if request.param == "cta":
        with torch.no_grad():
            ids, _, _ = batch(500)
            x = model.layer.norm1(model.token(ids) + model.position)
            calibrate(model.layer.attention.heads, x, rl=0.6)
    report = quantise_model(model, [batch(seed)[0] for seed in range(600, 604)],
                            attention=ATTENTION, ffn=FFN)
    assert len(report.quantised) == 2
    train(model, 8, 700, 1e-3)     # points stay: weights may not go far
    model.eval()
    seen = {}
    modules = {"heads": model.layer.attention.heads, "ffn": model.layer.ffn}
    hooks = [module.register_forward_hook(
        lambda _, args, y, name=name: seen.__setitem__(name, (args[0], y)))
        for name, module in modules.items()]
    with torch.no_grad():
        held_out = float(loss(model, 900))
    for hook in hooks:
        hook.remove()
    assert held_out < 0.85 * np.log(KINDS)       # it has learnt something
    return model, {name: (modules[name], x[:3], y[:3]) for name, (x, y) in seen.items()}, held_out


def jobs_of(export, x):
    """(weights, job) of every sequence and head."""
    return [(weights, export.job(h, export.tokens(sequence)))
            for sequence in x.double().numpy() for h, weights in enumerate(export.heads)]


def side_by_side(export, results):
    """(B, n, dim) in real numbers from the results of all sequences and heads."""
    o = [export.output(at % len(export.heads), result.o) for at, result in enumerate(results)]
    size = len(export.heads)
    return np.stack([np.concatenate(o[at:at + size], axis=1) for at in range(0, len(o), size)])


def heads_error(heads, export, results, x, y):
    """Relative error against double precision on the clusters of the integers."""
    want = []
    for at, result in enumerate(results):
        sequence = x[at // heads.heads].double().numpy()
        real = operands(heads, at % heads.heads)
        args = (sequence, sequence, real.wq, real.wk, real.wv, real.bq, real.bv)
        want.append(cta.attention_exact(*args) if heads.mode == "exact" else
                    cta.attention_cta(*args, result.ct0, result.ct1, result.ct2))
    size = heads.heads
    want = np.stack([np.concatenate(want[at:at + size], axis=1)
                     for at in range(0, len(want), size)])
    return relative_error(y.double().numpy(), want)


def test_attention_torch_to_golden(trained):
    heads, x, y = trained[1]["heads"]
    export = heads.fake.layer(heads)
    results = [head.run(export.cfg, *item) for item in jobs_of(export, x)]
    assert np.array_equal(side_by_side(export, results), y.numpy())
    assert heads_error(heads, export, results, x, y) < 0.03
    if heads.mode == "cta":
        assert all(result.k1 < 0.9 * N for result in results)


def test_attention_golden_to_rtl(trained):
    pytest.importorskip("amaranth", reason="needs the rtl extra")
    from sw.sim.cta import run_jobs
    heads, x, y = trained[1]["heads"]
    export = heads.fake.layer(heads)
    found = run_jobs(export.cfg, jobs_of(export, x))
    for item, result in zip(jobs_of(export, x), found, strict=True):
        golden = head.run(export.cfg, *item)
        assert np.array_equal(result.o, golden.o) and result.saturations == golden.saturations
    assert np.array_equal(side_by_side(export, found), y.numpy())


def ffn_error(ffn, export, x, y):
    """Relative error against double precision on the rows of the integers."""
    real = ffn.operands(x)
    z = layer.trace(export.cfg, export.weights, export.job(export.tokens(real.x)))["z"]
    want = lookup.forward(export.cfg, real, hashing.codes(export.cfg, z))
    return relative_error(y.double().numpy().reshape(want.shape), want)


def test_ffn_torch_to_golden(trained):
    ffn, x, y = trained[1]["ffn"]
    export = ffn.fake.layer(ffn)
    result = layer.run(export.cfg, export.weights,
                       export.job(export.tokens(x.reshape(-1, D).double().numpy())))
    assert np.array_equal(export.output(result.y), y.reshape(-1, D).numpy())
    assert ffn_error(ffn, export, x, y) < 0.05


def test_ffn_golden_to_rtl(trained):
    pytest.importorskip("amaranth", reason="needs the rtl extra")
    from sw.sim.lookup import run_job
    ffn, x, y = trained[1]["ffn"]
    export = ffn.fake.layer(ffn)
    job = export.job(export.tokens(x[0].double().numpy()))
    found, golden = run_job(export.cfg, export.weights, job), layer.run(
        export.cfg, export.weights, job)
    assert np.array_equal(found.y, golden.y) and found.saturations == golden.saturations
    assert np.array_equal(export.output(found.y), y[0].numpy())


def test_the_task_hardly_notices(trained):
    """In floats the trained model predicts as well as in the engines' integers."""
    model, _, held_out = trained
    fakes = float_model(model)
    try:
        with torch.no_grad():
            assert float(loss(model, 900)) == pytest.approx(held_out, abs=0.1)
    finally:
        for name, fake in fakes.items():
            model.get_submodule(name).fake = fake


# -- the trained layers that ship with the project ------------------------------------------------

@pytest.fixture(scope="module")
def shipped_heads():
    """The trained head at the engine of the paper, and its passage."""
    file = read_head(HEAD)
    heads = CTAHeads(64, 1, l=6)
    with torch.no_grad():
        for linear, w, b in ((heads.q, file.wq, file.bq), (heads.k, file.wk, None),
                             (heads.v, file.wv, file.bv)):
            linear.weight.copy_(torch.from_numpy(w.T))
            linear.bias.copy_(torch.zeros(64) if b is None else torch.from_numpy(b))
        x = torch.from_numpy(file.xkv[None]).float()
        calibrate(heads, x, rl=0.52)
        quantise_model(nn.Sequential(heads), [x])
        return heads, x, heads(x)


def test_shipped_head(shipped_heads):
    heads, x, y = shipped_heads
    export = heads.fake.layer(heads)
    results = [head.run(export.cfg, *item) for item in jobs_of(export, x)]
    assert np.array_equal(side_by_side(export, results), y.numpy())
    assert heads_error(heads, export, results, x, y) < 0.01
    assert heads.ratios()[0] == pytest.approx(0.52, abs=0.02)


@pytest.mark.nightly
def test_shipped_head_on_rtl(shipped_heads):
    pytest.importorskip("amaranth", reason="needs the rtl extra")
    from sw.sim.cta import run_jobs
    heads, x, y = shipped_heads
    export = heads.fake.layer(heads)
    # That of tests.rtl.test_paper_size.
    assert (export.cfg.b, export.cfg.d, export.cfg.n, export.cfg.k0) == (8, 64, 512, 512)
    found = run_jobs(export.cfg, jobs_of(export, x))
    assert np.array_equal(side_by_side(export, found), y.numpy())


def test_shipped_ffn():
    real = read_layer(LAYER)
    ffn = LookupFFN(64, 16, 6, block=16, gain=real.gain, skip=real.skip)
    with torch.no_grad():
        for name, value in (("blocks", real.w), ("z_bias", real.z_bias), ("tables", real.tables),
                            ("out_bias", real.out_bias)):
            getattr(ffn, name).copy_(torch.from_numpy(value))
        x = torch.from_numpy(real.x).float()
        quantise_model(nn.Sequential(ffn), [x])
        y = ffn(x)
    export = ffn.fake.layer(ffn)
    result = layer.run(export.cfg, export.weights, export.job(export.tokens(x.numpy())))
    assert np.array_equal(export.output(result.y), y.numpy())
    assert ffn_error(ffn, export, x, y) < 0.03


@pytest.fixture(scope="module")
def encoder():
    """The shipped encoder, quantised; by name of every layer (module, input, output) on a held-out
    passage."""
    model, run = checkpoint.load(CHECKPOINT)
    tokens = checkpoint.tokens_of(CHECKPOINT, run)
    text = data.encode(tokens, [Path(data.__file__).read_bytes()])
    ids = torch.from_numpy(text[:run.model.context].astype(np.int64))[None]
    seen = {}
    with torch.no_grad():
        report = quantise_model(model, [ids], ffn={"multipliers": 64, "lanes": 32})
        assert not report.kept and len(report.quantised) == 2 * run.model.layers
        for name in report.quantised:
            model.get_submodule(name).register_forward_hook(
                lambda module, args, y, name=name: seen.__setitem__(name, (module, args[0], y)))
        model(ids)
    return seen


def test_shipped_encoder(encoder):
    """Several heads, tokens longer than a head (T slices), all layers."""
    for name, (module, x, y) in encoder.items():
        export = module.fake.layer(module)
        if isinstance(module, CTAHeads):
            assert export.cfg.slices > 1 and len(export.heads) > 1
            results = [head.run(export.cfg, *item) for item in jobs_of(export, x)]
            assert np.array_equal(side_by_side(export, results), y.numpy()), name
            assert heads_error(module, export, results, x, y) < 0.015, name
        else:
            result = layer.run(export.cfg, export.weights,
                               export.job(export.tokens(x[0].double().numpy())))
            assert np.array_equal(export.output(result.y), y[0].numpy()), name
            assert ffn_error(module, export, x, y) < 0.03, name


@pytest.mark.nightly
def test_shipped_encoder_on_rtl(encoder):
    pytest.importorskip("amaranth", reason="needs the rtl extra")
    from sw.sim.cta import run_jobs
    from sw.sim.lookup import run_job
    for name, (module, x, y) in encoder.items():
        export = module.fake.layer(module)
        if isinstance(module, CTAHeads):
            found = side_by_side(export, run_jobs(export.cfg, jobs_of(export, x)))
        else:
            job = export.job(export.tokens(x[0].double().numpy()))
            found = export.output(run_job(export.cfg, export.weights, job).y)[None]
        assert np.array_equal(found, y.numpy()), name
