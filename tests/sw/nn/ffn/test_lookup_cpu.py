"""The kernel of LookupFFN in inference: the same outputs however it is called, and off where it must be."""

import copy
import gc
import pickle
import warnings

import pytest
import torch
from torch import nn

from model.errors import ConfigError
from sw.kernels import build
from sw.nn.ffn import lookup_cpu
from sw.nn.ffn.lookup import LookupFFN
from sw.nn.projections import make_projection


def make(d=64, h=20, tau=5, projection="bh4", block=16, **options) -> LookupFFN:
    layer = LookupFFN(d, h, tau, projection, block, seed=0, **options)
    with torch.no_grad():
        layer.z_bias.normal_(std=0.3)
        layer.tables.mul_(20)
    return layer.eval()


@torch.no_grad()
def tokens(layer, count=50, clear=1e-4) -> torch.Tensor:
    """Tokens of which no z is so near zero that the order of a sum decides about its row."""
    x = torch.randn(4 * count + 10, layer.d)
    z = copy.deepcopy(layer).double().project(x.double())
    return x[z.abs().flatten(1).min(1).values > clear][:count]


@torch.no_grad()
def by_torch(layer, x) -> torch.Tensor:
    kept, layer.cpu_tables = layer.cpu_tables, None
    try:
        return layer(x)
    finally:
        layer.cpu_tables = kept


def error(got, want) -> float:
    return ((got - want).norm() / want.norm()).item()


@pytest.fixture
def calls(monkeypatch):
    """How often the kernel ran."""
    seen = []
    run = lookup_cpu.FloatKernel.run
    monkeypatch.setattr(lookup_cpu.FloatKernel, "run",
                        lambda self, *others, **how: seen.append(self) or run(self, *others, **how))
    return seen


@pytest.mark.parametrize("entries, most", [("fp32", 1e-5), ("bf16", 5e-3), ("int8", 2e-2)])
@pytest.mark.parametrize("options", [
    {}, {"neighbours": True}, {"gelu_scaled": False}, {"neighbours": True, "gelu_scaled": False},
    {"projection": "dense"}, {"d": 72, "h": 9, "tau": 7}, {"block": 4}, {"block": 64, "h": 1, "tau": 11}])
@torch.no_grad()
def test_equals_torch(options, entries, most, calls):
    torch.manual_seed(1)
    layer = make(**options)
    x = tokens(layer)
    layer.cpu_tables = entries
    got, want = layer(x), by_torch(layer, x)
    assert len(calls) == 1 and error(got, want) < most
    assert entries == "fp32" or error(got, want) > 1e-4         # it is not fp32 under another name


@torch.no_grad()
def test_any_leading_shape_and_stride(calls):
    layer = make()
    x = tokens(layer, 24)
    for shaped in (x[0], x[:0], x.reshape(2, 3, 4, 64), x.reshape(4, 6, 64).transpose(0, 1), x[:, None][::2]):
        got = layer(shaped)
        assert got.shape == shaped.shape and got.is_contiguous()
        torch.testing.assert_close(got, by_torch(layer, shaped), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_token_alone_is_as_in_a_batch_on_any_number_of_threads():
    layer, before = make(), torch.get_num_threads()
    x = torch.randn(200, 64)
    want = layer(x)
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert torch.equal(layer(x), want)
            assert torch.equal(torch.stack([layer(t) for t in x[:40]]), want[:40])
    finally:
        torch.set_num_threads(before)


def test_where_torch_computes(calls):
    layer, x = make(), torch.randn(3, 64)
    layer(x).sum().backward()                                   # gradients are asked for
    with torch.no_grad():
        layer.train()(x)
        layer.eval()
        layer.double()(x.double())
        layer.float()
        with torch.autocast("cpu", torch.bfloat16):
            layer(x)
        layer.cpu_tables = None
        layer(x)
        other = LookupFFN(64, 4, 4, make_projection("acdc", 64, 16, 2)).eval()
        other(x)
        with pytest.raises(ValueError, match="x has 63 elements a token"):
            make()(x[:, :63])
    assert calls == []
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    layer.cpu_tables = "fp32"
    layer(x)
    assert len(calls) == 1


def test_an_unknown_kind_of_tables():
    layer = make()
    layer.cpu_tables = "fp8"
    with torch.no_grad(), pytest.raises(ConfigError, match="cpu_tables is 'fp8', must be None or"):
        layer(torch.zeros(1, 64))


@torch.no_grad()
@pytest.mark.parametrize("change", [
    lambda layer: layer.tables.mul_(2), lambda layer: layer.blocks[:, 0].neg_(),
    lambda layer: layer.z_bias.add_(1), lambda layer: layer.out_bias.fill_(3),
    lambda layer: setattr(layer, "tables", nn.Parameter(layer.tables + 1)),
    lambda layer: layer.load_state_dict(LookupFFN(64, 20, 5, block=16, seed=9).state_dict()),
    lambda layer: setattr(layer, "gain", 0.2), lambda layer: setattr(layer, "skip", 0.9)])
def test_packed_again_when_a_parameter_changed(change, calls):
    layer = make()
    with torch.no_grad():
        layer.out_bias.normal_()
    x = tokens(layer, 20)
    before = layer(x)
    layer(x)
    assert calls[0] is calls[1]
    change(layer)
    got, want = layer(x), by_torch(layer, x)
    assert calls[2] is not calls[0] and not torch.equal(got, before)
    assert got.shape == want.shape and error(got, want) < 0.2   # a row may differ at a z near zero


@torch.no_grad()
def test_eval_drops_what_was_packed(calls):
    layer, x = make(), torch.randn(5, 64)
    layer(x)
    layer.out_bias.data.add_(1)                                 # shows in no version
    layer.train()
    assert layer.number not in lookup_cpu._packed
    layer.eval()
    assert error(layer(x), by_torch(layer, x)) < 1e-2


@torch.no_grad()
def test_copies_have_tables_of_their_own_and_layers_take_theirs_along():
    layer, x = make(), torch.randn(5, 64)
    want = layer(x)
    for make_other in (copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))):
        other = make_other(layer)
        assert other.number != layer.number and torch.equal(other(x), want)
        number = other.number
        assert number in lookup_cpu._packed
        del other
        gc.collect()
        assert number not in lookup_cpu._packed
    assert torch.equal(layer(x), want)


@torch.no_grad()
def test_parameters_of_inference_mode(calls):
    with torch.inference_mode():
        layer, x = make(), torch.randn(5, 64)
        first = layer(x)
        layer.out_bias.add_(1)
        assert error(layer(x), first + 1) < 1e-5 and len(calls) == 2


@torch.no_grad()
def test_under_compile(calls):
    torch._dynamo.reset()
    model = nn.Sequential(make(), nn.LayerNorm(64), make(projection="dense")).eval()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x = tokens(model[0], 20)
    assert error(compiled(x), model(x)) < 1e-5 and len(calls) == 4
    model[0].tables.mul_(2)
    assert error(compiled(x), model(x)) < 1e-5
    torch._dynamo.reset()


@torch.no_grad()
def test_the_operator_keeps_torch_s_rules():
    layer = make()
    operands = torch.randn(3, 64), *lookup_cpu._operands(layer)
    torch.library.opcheck(lookup_cpu.lookup_ffn, (*operands, 0.7, 0.3, False, True, "fp32", layer.number),
                          test_utils=("test_schema", "test_faketensor"))
    x = torch.randn(3, 4, 64)
    assert torch.equal(torch.func.vmap(layer, in_dims=1, out_dims=1)(x), layer(x))


class Layered(torch.utils.data.Dataset):
    """What a worker computes with a layer that the parent has used before."""

    def __init__(self, layer, x):
        self.layer, self.x = layer, x

    def __len__(self):
        return len(self.x)

    @torch.no_grad()
    def __getitem__(self, at):
        torch.set_num_threads(2)
        return self.layer(self.x[at].expand(100, -1))[0]


@torch.no_grad()
def test_in_a_worker_of_a_loader():
    """Forked, with the threads of the pool gone."""
    layer, x = make(), torch.randn(6, 64)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        want = layer(x.repeat(60, 1))[:6]
        loader = torch.utils.data.DataLoader(Layered(layer, x), num_workers=2, batch_size=1,
                                             multiprocessing_context="fork", timeout=60)
        assert torch.equal(torch.cat(list(loader)), want)
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def test_without_a_compiler(tmp_path, monkeypatch):
    """One line, once, and torch computes."""
    monkeypatch.setenv("HASHLAYER_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    for cached in (lookup_cpu._built, build.load, build.variant):
        cached.cache_clear()
    try:
        layer, x = make(), torch.randn(3, 64)
        with pytest.warns(RuntimeWarning, match="without its CPU kernel: .*no-such-compiler") as seen:
            got = layer(x)
        assert "\n" not in str(seen[0].message) and torch.equal(got, by_torch(layer, x))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            layer(x)
    finally:
        for cached in (lookup_cpu._built, build.load, build.variant):
            cached.cache_clear()
