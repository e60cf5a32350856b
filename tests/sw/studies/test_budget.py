"""The error budget: its total is what the engine makes, its stages explain it; the command."""

import json
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from model.cta import head
from model.cta import reference as cta
from model.cta.calibrate import calibrate, targets
from model.cta.config import CTAConfig, CTAFormats
from model.cta.job import Mode
from model.cta.quantise import quantise
from model.fixed import Format
from model.lookup import reference as lookup
from model.lookup.config import LookupConfig
from sw.studies import budget
from sw.studies.formats import CTA
from sw.studies.numerics import layer_errors
from tests.sw.quant import made

CFG = CTAConfig(b=4, d=16, l=4, n=64)
FFN = LookupConfig(d=32, h=8, tau=4, block=8)


def operands(seed=1):
    real = cta.synthetic(CFG.n, CFG.d, seed=seed)
    found = calibrate(CFG, real, targets(CFG.n, CFG.n, 0.6))
    return replace(real, a=found.a, b=found.b, w=found.w)


def squares(found):
    return sum(stage.alone**2 for stage in found.stages) ** 0.5


@pytest.mark.parametrize("mode", Mode)
def test_attention(mode):
    heads, steps = [operands(1), operands(2)], []
    found = budget.attention_budget("layer", CFG, heads, mode, step=lambda: steps.append(1))
    assert len(steps) == 2 * len(CTA.rows) + 2
    wrong = right = 0
    for real in heads:
        q = quantise(CFG, real, mode)
        t = head.run(CFG, q.weights, q.job)
        want = cta.attention_exact(*real.attention) if mode == Mode.EXACT else \
            cta.attention_cta(*real.attention, t.ct0, t.ct1, t.ct2)
        wrong += np.linalg.norm(q.output(CFG, t.o) - want)**2
        right += np.linalg.norm(want)**2
    assert found.total == pytest.approx((wrong / right) ** 0.5)
    # Nearly independent errors: the stages alone add up, in squares, to the whole.
    assert found.exact < found.total / 30
    assert squares(found) == pytest.approx(found.total, rel=0.3)
    assert sum(s.adds**2 for s in found.stages) ** 0.5 == pytest.approx(found.total, rel=0.4)
    assert {stage.name for stage in found.stages} == set(CTA.rows)
    assert bool(found.beside) == (mode == Mode.CTA)


def test_a_coarse_format_shows_where_it_is():
    fmt = replace(CTAFormats(), qkv=Format(True, 8, 2))
    found = budget.attention_budget("layer", replace(CFG, fmt=fmt), [operands()])
    worst = max(found.stages, key=lambda stage: stage.alone)
    assert worst.name == "qkv" and worst.alone == pytest.approx(found.total, rel=0.1)
    assert worst.adds == pytest.approx(found.total, rel=0.1)
    coarse = replace(FFN, fmt=replace(FFN.fmt, table=Format(True, 4, 3)))
    found = budget.lookup_budget("layer", coarse, lookup.synthetic(coarse, 40))
    worst = max(found.stages, key=lambda stage: stage.alone)
    assert worst.name == "table" and worst.adds == pytest.approx(found.total, rel=0.1)


@pytest.mark.parametrize("changes", [{}, {"projection": "dense"}, {"neighbours": True},
                                     {"gelu_scaled": False}])
def test_lookup(changes):
    cfg, steps = replace(FFN, **changes), []
    real = lookup.synthetic(cfg, 60)
    found = budget.lookup_budget("layer", cfg, real, step=lambda: steps.append(1))
    assert len(steps) == 2 * len(budget.LOOKUP_ROWS) + 2
    assert found.total == pytest.approx(layer_errors(cfg, real)[0])
    assert found.exact < found.total / 30
    assert squares(found) == pytest.approx(found.total, rel=0.3)


@pytest.fixture
def call(tmp_path, capsys, monkeypatch):
    """The command in an empty folder: (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    real, ffn = operands(), lookup.synthetic(FFN, 30)
    np.savez("head.npz", x=real.xkv, wq=real.wq, wk=real.wk, wv=real.wv, bq=real.bq, bv=real.bv)
    np.savez("layer.npz", x=ffn.x, blocks=ffn.w, z_bias=ffn.z_bias, tables=ffn.tables,
             out_bias=ffn.out_bias)

    def call(*args):
        try:
            status = budget.main(list(args))
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()
    return call


def test_command(call, tmp_path):
    status, out, _ = call("head.npz", "layer.npz", "--report", "r.json", "--plot", "p.png")
    assert status == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert [one["layer"] for one in report] == ["CTA attention (head)", "LookupFFN (layer)"]
    assert f"relative error {report[0]['total']:.4f}" in out
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert "exact attention (head)" in call("head.npz", "--mode", "exact")[1]


def test_checkpoint(call, tmp_path):
    pytest.importorskip("torch", reason="needs the sw extra")
    made.checkpoint(tmp_path / "model", tmp_path / "text.txt")
    status, _, err = call("model", "--text", "text.txt", "--report", "r.json")
    assert status == 0, err
    report = json.loads((tmp_path / "r.json").read_text())
    assert [one["layer"] for one in report] == [
        "layers.0: CTA attention", "layers.1: CTA attention", "layers.0: LookupFFN",
        "layers.1: LookupFFN"]
    assert [one["part"] for one in report] == 2 * ["attention"] + 2 * ["ffn"]
    assert all(0 < one["exact"] < one["total"] / 10 for one in report)


@pytest.mark.parametrize("args, message", [
    (["none.npz"], "none.npz does not exist"),
    (["r.txt"], "r.txt is not an .npz file"),
    (["head.npz", "--percentile", "0"], "percentile is 0.0, must be in (0, 100]"),
    (["head.npz", "--sequences", "0"], "sequences is 0, must be at least 1"),
    (["head.npz", "--plot", "/nowhere/p.png"], "its folder does not exist"),
    (["head.npz", "--mode", "some"], "invalid choice"),
    (["huge.npz"], "cannot be represented"),
    pytest.param(["."], "not a checkpoint", marks=pytest.mark.skipif(
        find_spec("torch") is None, reason="needs the sw extra")),
])
def test_bad_input(call, tmp_path, args, message):
    (tmp_path / "r.txt").write_text("text")
    arrays = dict(np.load("layer.npz"))
    np.savez("huge.npz", **{**arrays, "blocks": 1e9 * arrays["blocks"]})
    status, out, err = call(*args)
    assert status == 2 and not out and message in err and err.count("\n") == 1, err
