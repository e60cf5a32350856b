"""All feed-forward layers by one contract."""

import copy
import inspect

import pytest
import torch

from model.errors import ConfigError
from sw.nn.ffn.auxiliary import auxiliary_loss
from sw.nn.ffn.registry import FFNS, ffn_options, make_ffn

D = 16
OPTIONS = {
    "lookup": {"h": 8, "tau": 4, "block": 4},
    "switch": {"experts": 4, "balance": 0.01},
    "slide": {"bits": 4, "tables": 3, "per_pass": 8},
    "mongoose": {"bits": 4, "tables": 3, "per_pass": 16},
    "yoso": {"h": 32, "tau": 3},
}
every = pytest.mark.parametrize("name", FFNS)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def layer(name, seed=0, d=D, **more):
    return make_ffn(name, d, seed=seed, **{**OPTIONS.get(name, {}), **more})


def test_names():
    assert FFNS == ("vanilla", "lookup", "switch", "shuffle", "slide", "mongoose", "yoso")


@every
@pytest.mark.parametrize("shape", [(D,), (1, D), (3, 5, D), (2, 1, 4, D)])
def test_shape_and_tokens_in_any_arrangement(name, shape):
    ffn = layer(name).eval().double()
    x = torch.randn(shape, dtype=torch.float64)
    y = ffn(x)
    assert y.shape == x.shape and y.dtype == torch.float64
    torch.testing.assert_close(y, ffn(x.reshape(-1, D)).reshape(shape), rtol=0, atol=1e-13)
    strided = x.reshape(-1, D).T.contiguous().T.reshape(shape)
    torch.testing.assert_close(ffn(strided), y, rtol=0, atol=1e-13)


@every
def test_equal_tokens_give_equal_outputs(name):
    ffn = layer(name).eval().double()
    x = torch.randn(1, D, dtype=torch.float64).expand(20, D)
    torch.testing.assert_close(ffn(x), ffn(x[:1]).expand(20, D), rtol=0, atol=1e-13)


@every
def test_seed_decides(name):
    before = torch.get_rng_state()
    one, same, other = layer(name), layer(name), layer(name, seed=1)
    assert (torch.get_rng_state() == before).all(), "a seed leaves the global generator alone"
    x = torch.randn(5, D)
    outputs = []
    for ffn in (one, same, other):
        torch.manual_seed(3)                    # YOSO's fresh signs, MONGOOSE's pairs
        outputs.append(ffn(x))
    assert (outputs[0] == outputs[1]).all() and (outputs[0] != outputs[2]).any()
    torch.manual_seed(5)
    drawn = layer(name, seed=None)
    torch.manual_seed(5)
    again = layer(name, seed=None)
    assert all((a == b).all() for a, b in zip(drawn.parameters(), again.parameters()))


@every
def test_every_parameter_and_the_input_get_a_gradient(name):
    """MONGOOSE's projection by its auxiliary loss only; no other exception."""
    ffn = layer(name)
    x = torch.randn(64, D, requires_grad=True)
    loss = ffn(x).square().sum()
    extra = auxiliary_loss(ffn)
    assert (extra is not None) == (name in ("switch", "mongoose"))
    (loss if extra is None else loss + extra).backward()
    assert torch.isfinite(x.grad).all() and (x.grad != 0).any()
    for key, parameter in ffn.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key
        assert (parameter.grad != 0).any(), key


@every
def test_training_lowers_the_loss(name):
    ffn = layer(name)
    x = torch.randn(128, D)
    target = torch.nn.functional.normalize(torch.tanh(x @ torch.randn(D, D)), dim=-1)
    optimiser = torch.optim.Adam(ffn.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        loss = (ffn(x) - target).square().sum(-1).mean()
        losses.append(loss.item())
        extra = auxiliary_loss(ffn)
        optimiser.zero_grad()
        (loss if extra is None else loss + extra).backward()
        optimiser.step()
    assert sum(losses[-5:]) / 5 < 0.75 * losses[0], losses


@every
def test_state_dict_round_trip(name, tmp_path):
    ffn, other = layer(name), layer(name, seed=9)
    torch.save(ffn.state_dict(), tmp_path / "ffn.pt")
    other.load_state_dict(torch.load(tmp_path / "ffn.pt", weights_only=True))
    x = torch.randn(7, D)
    assert (other.eval()(x) == ffn.eval()(x)).all()


@every
def test_a_layer_can_be_copied_after_a_training_step(name):
    ffn = layer(name)
    ffn(torch.randn(9, D))
    twin = copy.deepcopy(ffn)
    x = torch.randn(7, D)
    assert (twin.eval()(x) == ffn.eval()(x)).all()
    assert getattr(twin, "aux_loss", None) is None


@every
def test_lower_precision(name):
    ffn = layer(name)
    x = torch.randn(32, D, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = ffn(x)
        extra = auxiliary_loss(ffn)
    loss = y.float().square().mean()
    (loss if extra is None else loss + extra).backward()
    assert torch.isfinite(y).all() and torch.isfinite(x.grad).all()
    with torch.no_grad():
        half = layer(name).to(torch.bfloat16).eval()(x.detach().to(torch.bfloat16))
    assert half.dtype == torch.bfloat16 and torch.isfinite(half).all()


@every
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same(name):
    ffn = layer(name).double().eval()
    x = torch.randn(50, D, dtype=torch.float64)
    gradients = []
    for device in ("cpu", "cuda"):
        twin = copy.deepcopy(ffn).to(device)
        y = twin(x.to(device))
        y.square().sum().backward()
        gradients.append([y.detach().cpu()] + [p.grad.cpu() for p in twin.parameters()
                                               if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1])
    for a, b in zip(*gradients):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    ffn.train().to("cuda")(x.to("cuda"))


@every
def test_flop_is_per_token(name):
    ffn = layer(name).eval()
    ffn(torch.randn(1, D))
    assert isinstance(ffn.flop, int) and ffn.flop > 0


def test_flop_of_lookup_is_that_of_the_paper():
    rows = [(512, 256, 8, 1.38), (512, 128, 8, 0.69), (512, 64, 8, 0.35), (512, 32, 8, 0.31),
            (512, 256, 4, 0.82), (768, 170, 9, 1.39)]
    for d, h, tau, paper in rows:
        assert make_ffn("lookup", d, h=h, tau=tau, seed=0).flop / 1e6 == pytest.approx(
            paper, abs=0.005)


@every
def test_wrong_tokens_are_refused(name):
    ffn = layer(name)
    with pytest.raises(ValueError, match=rf"{D}"):
        ffn(torch.randn(3, D + 1))
    if name != "lookup":
        with pytest.raises(ValueError, match=r"x has shape \(0, 16\), must be \(\.\.\., 16\)"):
            ffn(torch.randn(0, D))


@every
def test_wrong_options_are_refused(name):
    with pytest.raises(ConfigError, match=f"option 'neurons' of ffn '{name}' is unknown, must be "
                                          "one of .*seed"):
        layer(name, neurons=3)
    for d in (0, -4, 2.0, "8", None, True):
        with pytest.raises(ConfigError, match="d is "):
            layer(name, d=d)
    if name == "lookup":
        return
    with pytest.raises(ConfigError, match="seed is -1, must be an integer in 0"):
        layer(name, seed=-1)


def test_wrong_names_are_refused():
    for name in ("mlp", "", None, 3, ["switch"]):
        with pytest.raises(ConfigError, match="must be one of vanilla, lookup, switch, shuffle"):
            make_ffn(name, 8)
    with pytest.raises(ConfigError, match="option 'h' of ffn 'lookup' is missing, must be given"):
        make_ffn("lookup", 8, tau=4)


@every
def test_options_are_those_of_the_layer(name):
    known = ffn_options(name)
    assert "d" not in known and known["seed"] is None
    assert (known.get("h") is inspect.Parameter.empty) == (name == "lookup")
