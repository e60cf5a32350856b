"""Every rival computes what its method says, and one that cannot be built is left out in one line."""

import numpy as np
import pytest
import torch

from sw.nn.ffn.registry import make_ffn
from sw.studies.bench.cpu_rivals import registry
from sw.studies.bench.cpu_rivals.dense import network

D, TOKENS = 32, 300


@pytest.fixture
def x():
    return torch.randn(TOKENS, D, generator=torch.Generator().manual_seed(1))


def outputs(maker, x):
    with torch.inference_mode():
        y = maker(torch, x.shape[1], x, 1)()
    return np.asarray(y.float() if isinstance(y, torch.Tensor) else y)


@pytest.mark.parametrize("name, limit", [
    ("torch fp32", 0), ("torch bf16", 1e-2), ("torch int8", 3e-2), ("onnx fp32", 1e-5), ("onnx int8", 3e-2)])
def test_what_a_user_runs_is_one_network(name, limit, x):
    if name.startswith("onnx"):
        for package in ("onnx", "onnxruntime"):
            pytest.importorskip(package, reason=f"{package} is not installed")
    with torch.inference_mode():
        want = network(torch, D)(x).numpy()
    error = np.linalg.norm(outputs(registry.USERS[name], x) - want) / np.linalg.norm(want)
    assert error <= limit


@pytest.mark.parametrize("name", list(registry.PAPER))
def test_what_the_paper_compares_with_is_the_layer_in_training(name, x):
    with torch.inference_mode():
        want = make_ffn(name, D, seed=0).eval()(x).numpy()
    assert np.abs(want).max() > 0
    np.testing.assert_allclose(outputs(registry.PAPER[name], x), want, rtol=1e-4, atol=1e-5)


def test_all_are_built_or_left_out_in_one_line(x, capsys):
    def broken(*others):
        raise RuntimeError("first line\nsecond line")
    registry._say.cache_clear()
    makers = {"broken": broken, "torch fp32": registry.USERS["torch fp32"]}
    for _ in range(2):
        assert list(registry.rivals(D, x, 1, makers)) == ["torch fp32"]
    assert capsys.readouterr().out == "broken is left out: RuntimeError: first line\n"
