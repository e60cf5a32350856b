"""LookupFFN against the float reference, its gradients against the formulas."""

import copy

import numpy as np
import pytest
import torch

from model.errors import ConfigError
from model.lookup import layer as golden
from model.lookup import reference
from model.lookup.quantise import quantise
from sw.io.figures import relative_error
from sw.nn.ffn.lookup import LookupFFN
from sw.nn.ffn.lookup_gather import codes, gather, weights
from sw.nn.projections import make_projection
from sw.studies.numerics import layer_errors


def make(d=24, h=5, tau=4, projection="bh4", block=8, seed=0, **options):
    """A float64 layer with biases, at tokens (2, 7, d)."""
    layer = LookupFFN(d, h, tau, projection, block, seed=seed, **options).double()
    with torch.no_grad():
        layer.z_bias.normal_(std=0.3)
        layer.tables.mul_(20)
    return layer, torch.randn(2, 7, d, dtype=torch.float64)


LAYERS = {
    "padded": dict(), "r = 1": dict(d=32, h=4, tau=8, block=16),
    "r = 1, cut": dict(d=32, h=3, tau=5, block=4), "r = 4": dict(d=8, h=7, tau=4),
    "one bit": dict(d=16, h=9, tau=1), "one table": dict(d=16, h=1, tau=11),
    "whole block": dict(d=64, h=8, tau=3, block=64), "other skip": dict(gain=1.25, skip=0),
    "dense": dict(projection="dense"), "dense, one bit": dict(projection="dense", tau=1),
}


@pytest.mark.parametrize("neighbours", [False, True])
@pytest.mark.parametrize("gelu_scaled", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_equals_the_reference(name, gelu_scaled, neighbours):
    torch.manual_seed(1)
    layer, x = make(**LAYERS[name], gelu_scaled=gelu_scaled, neighbours=neighbours)
    cfg, real = layer.config(), layer.operands(x)
    z = layer.project(x)
    want = reference.project(cfg, real)
    assert z.shape == (2, 7, cfg.h, cfg.tau) and np.abs(want).max() > 0.3
    np.testing.assert_allclose(z.detach().numpy().reshape(want.shape), want, atol=1e-10)
    got = layer.codes(z).numpy().reshape(14, cfg.h, cfg.entries)
    assert np.array_equal(got, reference.codes(cfg, want))
    s = layer.weights(z).detach().numpy().reshape(got.shape)
    np.testing.assert_allclose(s, reference.weights_of(cfg, want), atol=1e-10)
    y = layer(x).detach().numpy()
    assert y.shape == (2, 7, cfg.d) and np.abs(y).max() > 0.05
    np.testing.assert_allclose(y.reshape(14, -1), reference.forward(cfg, real), atol=1e-10)


@pytest.mark.parametrize("projection", ["bh4", "dense"])
def test_gradients_by_hand(projection):
    """g_s, g_T and ds/dz as written out in sw.nn.ffn.lookup_gather, in loops."""
    torch.manual_seed(2)
    layer, x = make(d=16, h=3, tau=4, projection=projection)
    x = x.reshape(14, 16)
    x[5] = x[3]                                             # a row that two tokens take
    z = layer.project(x)
    z.retain_grad()
    s = layer.weights(z)
    s.retain_grad()
    g_y = torch.randn(14, 16, dtype=torch.float64)
    (gather(layer.tables, layer.codes(z), s) + layer.out_bias).backward(g_y)
    g, tables, zs = g_y.numpy(), layer.tables.detach().numpy(), z.detach().numpy()
    g_t = np.zeros_like(tables)
    for t in range(14):
        for k in range(3):
            bits = "".join("1" if value > 0 else "0" for value in zs[t, k])
            row, size = int(bits, 2), np.abs(zs[t, k])
            keep = 1 / (1 + np.exp(-2 * size))
            total, product = size.sum(), keep.prod()
            g_s = g[t] @ tables[k, row]
            g_t[k, row] += total * product * g[t]
            g_z = g_s * np.sign(zs[t, k]) * product * (1 + 2 * total * (1 - keep))
            np.testing.assert_allclose(s.grad[t, k, 0], g_s, atol=1e-12)
            np.testing.assert_allclose(z.grad[t, k], g_z, atol=1e-12)
    np.testing.assert_allclose(layer.tables.grad, g_t, atol=1e-12)
    np.testing.assert_allclose(layer.out_bias.grad, g.sum(0), atol=1e-12)
    np.testing.assert_allclose(layer.z_bias.grad, z.grad.sum(0).flatten(), atol=1e-12)


@pytest.mark.parametrize("neighbours", [False, True])
@pytest.mark.parametrize("gelu_scaled", [True, False])
@pytest.mark.parametrize("projection", ["bh4", "dense"])
def test_gradients_by_differences(projection, gelu_scaled, neighbours):
    torch.manual_seed(3)
    layer, x = make(d=8, h=3, tau=3, projection=projection, block=4, gelu_scaled=gelu_scaled,
                    neighbours=neighbours)
    names, values = zip(*layer.named_parameters())
    assert layer.project(x[0, :2]).abs().min() > 1e-3       # y jumps where a z changes sign

    def call(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values)), x)
    assert torch.autograd.gradcheck(call, (x[0, :2].requires_grad_(), *values), fast_mode=True)


def test_a_zero_gives_a_zero_bit():
    z = torch.tensor([[[0.0, -1.0, 2.0]], [[3.0, 0.0, -0.0]]])
    assert codes(z).tolist() == [[[0b001]], [[0b100]]]
    assert codes(z, neighbours=True)[0, 0].tolist() == [0b001, 0b101, 0b011, 0b000]
    assert weights(torch.zeros(1, 1, 3), gelu_scaled=False).item() == 0.125


def test_large_codes_stay_finite():
    """exp(-2|z|) underflows and the weight tends to sum|z|, its gradient to the sign."""
    z = torch.tensor([[[90.0, -200.0]]], requires_grad=True)
    s = weights(z, neighbours=True)
    s[..., 0].sum().backward()
    assert s.tolist() == [[[290.0, 0.0, 0.0]]] and z.grad.tolist() == [[[1.0, -1.0]]]


def test_no_gathered_rows_are_kept():
    """What the forward keeps for the backward: nothing of tokens x tables x d."""
    layer = LookupFFN(64, 32, 4, block=8)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t,
                                                  lambda t: t):
        layer(torch.randn(256, 64))
    assert max(kept) == 256 * 32 * 4 < 256 * 32 * 64 / 10


def test_initialisation():
    layer = LookupFFN(512, 128, 8, seed=4)
    assert layer.blocks.shape == (2, 4, 8, 64, 64)
    for value, std in ((layer.blocks, 1 / np.sqrt(64 * 512)), (layer.tables, 0.02)):
        assert value.std().item() == pytest.approx(std, rel=0.02)
        assert value.mean().item() == pytest.approx(0, abs=0.02 * std)
    assert layer.out_bias.std().item() == pytest.approx(0.001, rel=0.2)
    assert not layer.z_bias.any()
    x = torch.randn(64, 512)
    assert layer.project(x).std().item() == pytest.approx(0.77, abs=0.04)
    dense = LookupFFN(512, 128, 8, "dense", seed=4)
    assert dense.dense.std().item() == pytest.approx(0.02, rel=0.02)


def test_seed():
    state = torch.get_rng_state()
    one, same, other = (LookupFFN(16, 2, 3, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    for name, value in one.named_parameters():
        assert torch.equal(value, dict(same.named_parameters())[name])
    assert not torch.equal(one.blocks, other.blocks)
    torch.manual_seed(0)
    free = LookupFFN(16, 2, 3).tables
    assert not torch.equal(free, LookupFFN(16, 2, 3).tables)


@pytest.mark.parametrize("shape", [(24,), (1, 24), (0, 24), (2, 0, 24), (2, 3, 4, 24)])
@pytest.mark.parametrize("projection", ["bh4", "dense"])
def test_any_leading_shape(shape, projection):
    layer, _ = make(projection=projection)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    assert y.shape == x.shape
    y.sum().backward()
    assert x.grad.shape == shape and torch.isfinite(layer.tables.grad).all()
    for token, out in zip(x.reshape(-1, 24), y.reshape(-1, 24)):
        torch.testing.assert_close(layer(token), out, rtol=0, atol=1e-12)


def test_fake_is_called_instead():
    layer, x = make()
    own = layer(x)
    seen = []
    layer.fake = lambda of, tokens: seen.append((of, tokens.shape)) or tokens + 1
    assert torch.equal(layer(x), x + 1) and seen == [(layer, (2, 7, 24))]
    layer.fake = None
    assert torch.equal(layer(x), own)


def test_members_follow_copies_and_checkpoints():
    layer, x = make()
    shapes = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
    assert shapes == {"blocks": (1, 4, 4, 8, 8), "z_bias": (20,), "tables": (5, 16, 24),
                      "out_bias": (24,)}
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))
    other = LookupFFN(24, 5, 4, block=8).double()
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), layer(x)) and other.aux_loss is None
    assert set(LookupFFN(24, 5, 4, "dense").state_dict()) == {"dense", "z_bias", "tables",
                                                              "out_bias"}


def test_autocast_sums_codes_in_full_precision():
    for projection in ("bh4", "dense"):
        layer = LookupFFN(64, 8, 4, projection, 16, seed=5)
        x = torch.randn(50, 64)
        with torch.autocast("cpu", torch.bfloat16):
            z, y = layer.project(x), layer(x)
        assert z.dtype == y.dtype == torch.float32
        assert (z - layer.project(x)).abs().max() < 0.05
        y.sum().backward()
        assert torch.isfinite(layer.tables.grad).all()


def test_config_and_operands():
    layer, x = make(d=40, h=6, tau=5, block=16, neighbours=True, gain=0.5, skip=0.25)
    cfg = layer.config(multipliers=64, lanes=16, tables="internal", residual=True)
    assert (cfg.d, cfg.h, cfg.tau, cfg.block, cfg.neighbours, cfg.gelu_scaled) == (
        40, 6, 5, 16, True, True)
    assert (cfg.multipliers, cfg.lanes, cfg.tables, cfg.residual) == (64, 16, "internal", True)
    real = layer.operands(x, residual=2 * x)
    assert (real.gain, real.skip) == (0.5, 0.25) and real.w.shape == cfg.weight_shape
    assert np.array_equal(real.residual, 2 * x.numpy().reshape(14, 40))
    np.testing.assert_allclose(reference.forward(cfg, real),
                               (layer(x) + 2 * x).detach().numpy().reshape(14, 40), atol=1e-10)
    assert layer.float().operands(x.float()).tables.dtype == np.float64


@pytest.mark.parametrize("projection", ["bh4", "dense"])
def test_runs_on_the_golden_model(projection):
    """Operands quantise as they are; the golden layer then differs by its formats only."""
    torch.manual_seed(6)
    layer, x = make(d=32, h=16, tau=5, projection=projection, block=16)
    cfg, real = layer.config(), layer.operands(x)
    q = quantise(cfg, real)
    y = q.output(cfg, golden.run(cfg, q.weights, q.job).y)
    forced, wrong, error = layer_errors(cfg, real)
    assert forced < 0.03 and wrong < 0.05
    assert relative_error(y, layer(x).detach().numpy().reshape(14, 32)) == (
        pytest.approx(error, rel=1e-6))


def test_flop_of_the_paper():
    """In millions: Tables 1 to 4."""
    for d, h, tau, block, want in ((512, 256, 8, 64, 1.38), (512, 128, 8, 64, 0.69),
                                   (512, 64, 8, 64, 0.35), (512, 32, 8, 64, 0.31),
                                   (512, 256, 4, 64, 0.82), (768, 170, 9, 64, 1.39)):
        with torch.device("meta"):
            assert LookupFFN(d, h, tau, block=block).flop / 1e6 == pytest.approx(want, abs=0.005)
    with torch.device("meta"):
        dense = LookupFFN(512, 128, 8, "dense")
    assert dense.flop / 1e6 == pytest.approx(1.05 + 0.13, abs=0.005)


def test_any_module_projects():
    projection = make_projection("acdc", 24, 20, 2)
    layer = LookupFFN(24, 5, 4, projection)
    x = torch.randn(3, 24)
    torch.testing.assert_close(layer.project(x).flatten(1), projection(x))
    assert layer.flop == projection.flop + 2 * 5 * 24
    layer(x).sum().backward()
    assert projection.diagonals.grad.abs().sum() > 0
    for call in (layer.config, lambda: layer.operands(x)):
        with pytest.raises(ConfigError, match="projection is ACDC, must be 'bh4' or 'dense'"):
            call()
    with pytest.raises(ConfigError, match="out_features of the projection is 20, must be 24"):
        LookupFFN(24, 6, 4, projection)


@pytest.mark.parametrize("projection", ["bh4", "dense"])
def test_learns(projection):
    """It fits a nonlinear map that a constant or a linear one cannot."""
    torch.manual_seed(7)
    x = torch.randn(256, 16)
    target = x.roll(1, -1).abs() - x.abs().mean()
    layer = LookupFFN(16, 16, 4, projection, 8, seed=0)
    optimiser = torch.optim.AdamW(layer.parameters(), lr=0.02)
    for _ in range(150):
        loss = (layer(x) - target).square().mean() / target.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.15


def test_refusals():
    for options, message in (
            (dict(d=20), "d is 20, must be a multiple of 8"), (dict(h=0), "h is 0, must be in 1"),
            (dict(tau=17), "tau is 17"), (dict(block=64), "block is 64, must be a power of two"),
            (dict(projection="bh3"), "projection is 'bh3', must be one of"),
            (dict(gain=2.5), "gain is 2.5, must be in 0..1.996"),
            (dict(skip=float("nan")), "skip is nan, must be in"),
            (dict(neighbours=1), "neighbours is 1, must be True or False")):
        with pytest.raises(ConfigError, match=message):
            LookupFFN(**{"d": 24, "h": 2, "tau": 3, **options})
    with pytest.raises(ValueError, match="x has 23 elements a token, must be d = 24"):
        LookupFFN(24, 2, 3)(torch.zeros(4, 23))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("projection", ["bh4", "dense"])
def test_cuda_alike(projection):
    layer, x = make(projection=projection, neighbours=True)
    other = copy.deepcopy(layer).cuda()
    y, again = layer(x), other(x.cuda())
    torch.testing.assert_close(again.cpu(), y, rtol=0, atol=1e-10)
    y.square().sum().backward()
    again.square().sum().backward()
    for name, value in layer.named_parameters():
        torch.testing.assert_close(other.get_parameter(name).grad.cpu(), value.grad, rtol=0,
                                   atol=1e-9)
