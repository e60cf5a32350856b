"""Engines in a model: the golden model's integers, padding left out, RTL the same to the bit."""

import builtins
import sys
from dataclasses import replace

import numpy as np
import pytest

from model.cta import head as cta
from model.cta.job import Mode
from model.errors import JobRefused
from model.lookup import layer as lookup
from model.lookup.job import Order
from sw.exported.hooks import EngineFFN, EngineHeads, on_engine
from sw.exported.jobs import run_ffn, run_heads
from sw.exported.layer import identical
from sw.exported.writer import export
from sw.io.errors import InputError
from sw.sim.backends import BACKENDS
from tests.sw.exported import made


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "rtl":
        pytest.importorskip("amaranth", reason="needs the rtl extra")
    return request.param


def tokens(rng, fmt, *shape):
    return rng.integers(fmt.min // 3, fmt.max // 3, shape)


# -- jobs ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("heads", [2, 5])    # as many sets as the engine has, and more
def test_heads(rng, backend, heads):
    cfg = made.CTA["T = 3, l > b"]
    layer = made.attention_layer(cfg, rng, heads)
    x = [tokens(rng, cfg.fmt.token, n, 24) for n in (12, 1, 5, 7)]
    found = run_heads(layer, [(x[0], None), (x[1], None), (x[2], x[3])], backend)
    assert [len(row) for row in found] == [heads] * 3
    for row, (xkv, xq) in zip(found, [(x[0], None), (x[1], None), (x[2], x[3])]):
        for head, result in enumerate(row):
            due = cta.run(cfg, layer.heads[head], layer.job(head, xkv, xq))
            for name in ("o", "ct0", "ct1", "ct2"):
                assert np.array_equal(getattr(result, name), getattr(due, name)), (head, name)
            assert result.saturations == due.saturations and result.cycles > 0


def test_exact_mode(rng, backend):
    cfg = made.CTA["T = 3, l > b"]
    layer = made.attention_layer(cfg, rng, 2, Mode.EXACT)
    x = tokens(rng, cfg.fmt.token, 6, 24)
    for head, result in enumerate(run_heads(layer, [(x, None)], backend)[0]):
        assert result.k0 == 6
        assert np.array_equal(result.o, cta.run(cfg, layer.heads[head], layer.job(head, x)).o)


def test_cycles_of_golden_and_rtl_agree(rng):
    """The cycle model is exact for a job on its own (model.cta.cycles)."""
    pytest.importorskip("amaranth", reason="needs the rtl extra")
    layer = made.attention_layer(made.CTA["T = 3, l > b"], rng, 2)
    x = tokens(rng, layer.cfg.fmt.token, 12, 24)
    golden, *others = (run_heads(layer, [(x, None)], backend)[0] for backend in BACKENDS)
    for found in others:
        assert [r.cycles for r in golden] == [r.cycles for r in found]


@pytest.mark.parametrize("name", ["bh4", "neighbours, residual"])
@pytest.mark.parametrize("order", list(Order))
def test_ffn(rng, backend, name, order):
    cfg = made.LOOKUP[name]
    layer = made.ffn_layer(cfg, rng)
    x = tokens(rng, cfg.fmt.x, 9, cfg.d)
    residual = tokens(rng, cfg.fmt.output, 9, cfg.d) if cfg.residual else None
    result = run_ffn(layer, x, backend, order, residual)
    due = lookup.run(cfg, layer.weights, layer.job(x, order, residual))
    assert np.array_equal(result.y, due.y) and result.saturations == due.saturations
    assert result.table_bytes == due.table_bytes and result.cycles > 0


def test_many_tokens_are_several_jobs(rng, monkeypatch):
    layer = made.ffn_layer(made.LOOKUP["least"], rng)
    x = tokens(rng, layer.cfg.fmt.x, 11, 8)
    whole = run_ffn(layer, x, "golden")
    monkeypatch.setattr(lookup, "TOKENS_MAX", 4)
    parts = run_ffn(layer, x, "golden")
    assert np.array_equal(parts.y, whole.y) and np.array_equal(parts.codes, whole.codes)
    assert parts.saturations == whole.saturations and parts.table_bytes == whole.table_bytes
    assert parts.cycles > whole.cycles


def test_refused(rng, backend):
    cfg = made.CTA["one slice"]
    layer = made.attention_layer(cfg, rng, 1)
    with pytest.raises(JobRefused, match="TOKENS"):
        run_heads(layer, [(tokens(rng, cfg.fmt.token, 17, 8), None)], backend)
    with pytest.raises(ValueError, match="0 tokens"):
        run_ffn(made.ffn_layer(made.LOOKUP["bh4"], rng), np.zeros((0, 16), np.int64), backend)


def test_backend_is_checked(rng):
    layer = made.attention_layer(made.CTA["one slice"], rng, 1)
    for call in (lambda: run_heads(layer, [], "float"), lambda: EngineHeads(layer, "float")):
        with pytest.raises(ValueError, match="backend is 'float', must be one of golden, cpu, rtl"):
            call()


def test_simulator_that_is_not_there(rng, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("amaranth"):
            raise ImportError(name=name)
        return real(name, *args, **kwargs)

    for name in [name for name in sys.modules if name.startswith(("verif", "gen", "sw.sim"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    layer = made.attention_layer(made.CTA["one slice"], rng, 1)
    with pytest.raises(InputError, match="the rtl backend needs amaranth"):
        run_heads(layer, [(np.zeros((2, 8), np.int64), None)], "rtl")


# -- hooks -----------------------------------------------------------------------------------------

class TestInTorch:
    """With modules of torch around the engines."""

    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch", reason="needs the sw extra")

    @pytest.fixture
    def heads(self, torch):
        from sw.nn.cta_heads import CTAHeads
        return CTAHeads(24, 3, l=5)

    @pytest.fixture
    def layer(self, rng):
        layer = made.attention_layer(made.CTA["T = 3, l > b"], rng, 3)
        # Outputs of neighbouring heads must not have the same point, or a swap would not show.
        assert len({point.o for point in layer.points}) > 1
        return layer

    def by_hand(self, layer, x, xq=None):
        """One sequence of real tokens through the golden model, head by head."""
        raw = [layer.cfg.fmt.token.quantise(t, layer.points[0].token)[0]
               for t in (x, x if xq is None else xq)]
        out = []
        for head, weights in enumerate(layer.heads):
            job = layer.job(head, raw[0], None if xq is None else raw[1])
            out.append(cta.run(layer.cfg, weights, job).o / 2.0**layer.points[head].o)
        return np.concatenate(out, axis=1)

    def test_self_attention(self, torch, heads, layer, backend):
        x = torch.randn(3, 12, 24, generator=torch.Generator().manual_seed(1))
        x = x * 2.0**(9 - layer.points[0].token)
        heads.fake = hook = EngineHeads(layer, backend)
        y = heads(x)
        assert y.dtype == x.dtype and y.shape == x.shape
        for at in range(3):
            assert np.array_equal(y[at].numpy(), self.by_hand(layer, x[at].double().numpy()))
        assert heads.counts.shape == (3, 3) and heads.ratios()[0] > 0
        call, = hook.calls
        assert (call.tokens, call.jobs) == (36, 9) and call.cycles == hook.cycles > 0
        assert call.counts.tolist() == heads.counts.tolist() and "linear" in call.saturations

    def test_padding_and_cross(self, torch, heads, layer):
        """Masks with holes, a tensor of queries of its own; NaN in the padding goes nowhere."""
        g = torch.Generator().manual_seed(2)
        scale = 2.0**(9 - layer.points[0].token)
        xq, xkv = (torch.randn(2, n, 24, generator=g) * scale for n in (5, 8))
        valid_q = torch.tensor([[1, 0, 1, 1, 0], [1, 1, 1, 1, 1]]).bool()
        valid_kv = torch.tensor([[0, 1, 1, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 1]]).bool()
        hook = EngineHeads(layer)
        y = hook(heads, xq.masked_fill(~valid_q[..., None], 1e9), xkv, valid_q, valid_kv)
        for at in range(2):
            due = self.by_hand(layer, xkv[at][valid_kv[at]].double().numpy(),
                               xq[at][valid_q[at]].double().numpy())
            assert np.array_equal(y[at][valid_q[at]].numpy(), due)
        assert not y[0][~valid_q[0]].any()
        heads.fake = hook
        own = heads(xkv, None, valid_kv)
        assert np.array_equal(own[0][valid_kv[0]].numpy(),
                              self.by_hand(layer, xkv[0][valid_kv[0]].double().numpy()))

    def test_ffn(self, torch, rng, backend):
        layer = made.ffn_layer(made.LOOKUP["bh4"], rng)
        x = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        x = x * 2.0**(9 - layer.point_x)
        hook = EngineFFN(layer, backend)
        y = hook(None, x)
        raw = layer.tokens(x.reshape(6, 16).numpy())
        due = lookup.run(layer.cfg, layer.weights, layer.job(raw)).y / 2.0**layer.point_y
        assert np.array_equal(y.reshape(6, 16).numpy(), due) and hook.calls[0].tokens == 6
        assert hook.calls[0].table_bytes == 6 * layer.cfg.h * layer.cfg.row_bytes

    def test_refused(self, torch, heads, layer, rng):
        with pytest.raises(ValueError, match="dim, heads = 24, 3, the export's layer 24, 2"):
            part = replace(layer, heads=layer.heads[:2], points=layer.points[:2],
                           shifts=layer.shifts[:2])
            EngineHeads(part)(heads, torch.zeros(1, 2, 24))
        heads.mode = "exact"
        with pytest.raises(ValueError, match="mode is exact, that of the export's layer is cta"):
            EngineHeads(layer)(heads, torch.zeros(1, 2, 24))
        ffn = made.ffn_layer(made.LOOKUP["bh4"], rng)
        with pytest.raises(ValueError, match="x has 8 elements a token, must be d = 16"):
            EngineFFN(ffn)(None, torch.zeros(2, 8))
        residual = made.ffn_layer(made.LOOKUP["neighbours, residual"], rng)
        with pytest.raises(ValueError, match="adds a residual"):
            EngineFFN(residual)(None, torch.zeros(2, 40))

    def test_on_engine(self, torch, heads, layer, rng, tmp_path):
        from sw.nn.ffn.lookup import LookupFFN
        ffn = made.ffn_layer(made.LOOKUP["bh4"], rng)
        model = torch.nn.ModuleDict({"a": heads, "f": LookupFFN(16, 4, 3, block=4)})
        export({"a": layer, "f": ffn}, tmp_path / "e")
        x = torch.randn(1, 4, 24, generator=torch.Generator().manual_seed(4))
        # A fake that is a module of torch, as fake quantisation is, has to make way.
        heads.fake = torch.nn.Identity()
        engines = on_engine(model, tmp_path / "e", "golden")
        assert identical(engines["a"].layer, layer) and identical(engines["f"].layer, ffn)
        y = model["f"](heads(x)[..., :16])
        assert len(engines["a"].calls) == len(engines["f"].calls) == 1
        raw = ffn.tokens(self.by_hand(layer, x[0].double().numpy())[:, :16])
        due = lookup.run(ffn.cfg, ffn.weights, ffn.job(raw)).y / 2.0**ffn.point_y
        assert np.array_equal(y[0].numpy(), due)
        assert on_engine(model, {"a": layer})["a"].calls == []
        heads.fake = torch.nn.Identity()
        heads.fake = None

    def test_on_engine_refused(self, torch, heads, layer, rng):
        ffn = made.ffn_layer(made.LOOKUP["bh4"], rng)
        model = torch.nn.ModuleDict({"a": heads, "n": torch.nn.LayerNorm(24)})
        for layers in ({"a": layer, "f": ffn}, {"n": ffn}, {"a": ffn}, {"n": layer}):
            with pytest.raises(ValueError, match="the model has no (FFN|Attention)Layer"):
                on_engine(model, layers)
        assert heads.fake is None

    def test_dtype(self, torch, heads, layer):
        for dtype in (torch.float64, torch.bfloat16):
            assert EngineHeads(layer)(heads, torch.ones(1, 2, 24, dtype=dtype)).dtype == dtype
