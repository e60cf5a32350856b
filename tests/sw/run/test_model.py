"""``sw.run model``: layers of an export by name, the golden model's integers, one line for errors."""

import json
import re

import numpy as np
import pytest

from model.cta import head as golden
from model.lookup import layer as lookup
from model.lookup.job import Order
from sw.exported.writer import export
from sw.run import command as run
from tests.sw.exported import made

ATTENTION, FFN, RESIDUAL = "blocks.1.attention.heads", "blocks.0.ffn", "blocks.5.ffn"


@pytest.fixture(scope="module")
def layers():
    return made.layers()


@pytest.fixture
def folder(layers, tmp_path):
    export(layers, tmp_path / "export")
    return tmp_path / "export"


@pytest.fixture
def call(folder, tmp_path, capsys):
    """Write tokens, run the command on them; gives (status, outputs, report, stdout, stderr)."""
    def call(arrays, *flags):
        np.savez(tmp_path / "x.npz", **arrays)
        out, rep = tmp_path / "out.npz", tmp_path / "report.json"
        for path in (out, rep):
            path.unlink(missing_ok=True)
        try:
            status = run.main(["model", str(folder), "--input", str(tmp_path / "x.npz"), "-o",
                               str(out), "--report", str(rep), *flags])
        except SystemExit as stop:
            status = stop.code
        assert out.exists() == rep.exists() == (status == 0)
        outputs = dict(np.load(out)) if out.exists() else None
        return (status, outputs, json.loads(rep.read_text()) if rep.exists() else None,
                *capsys.readouterr())
    return call


def real(layer, rng, n, size, point):
    return np.ldexp(rng.integers(-1000, 1000, (n, size)) + rng.uniform(-0.4, 0.4), -point)


def test_attention(call, layers):
    layer = layers[ATTENTION]
    rng = np.random.default_rng(1)
    xq, xkv = (real(layer, rng, n, 24, layer.points[0].token) for n in (7, 11))
    status, out, report, _, _ = call({"xq": xq, "xkv": xkv}, "--layer", ATTENTION)
    assert status == 0 and set(out) == {"o", "o_fixed", "ct0", "ct1", "ct2"}
    for head in range(2):
        job = layer.job(head, layer.tokens(xkv), layer.tokens(xq))
        due = golden.run(layer.cfg, layer.heads[head], job)
        part = slice(8 * head, 8 * head + 8)
        assert np.array_equal(out["o_fixed"][:, part], due.o)
        assert np.array_equal(out["o"][:, part], due.o / 2.0**layer.points[head].o)
        assert np.array_equal(out["ct2"], due.ct2)
    assert (report["n"], report["m"], report["heads"]) == (11, 7, 2)
    assert report["RA"] == due.k0 * (due.k1 + due.k2) / 77
    assert report["cycles"]["total"] == sum(report["cycles"]["heads"]) > 0
    assert report["config_hash"] == layer.cfg.digest and report["tokens_saturated"] == 0


def test_exact_mode(call, layers):
    x = np.random.default_rng(1).normal(size=(4, 8))
    _, out, report, _, _ = call({"x": x}, "--layer", "blocks.0.exact")
    assert report["mode"] == "exact" and report["RL"] == report["RA"] == 1
    assert out["o"].shape == (4, 16)


@pytest.mark.parametrize("order", Order)
def test_ffn(call, layers, order):
    layer = layers[FFN]
    x = real(layer, np.random.default_rng(2), 9, 16, layer.point_x)
    x[3, 4] = 1e6
    word = order.name.lower().replace("_", "-")
    status, out, report, _, _ = call({"x": x}, "--layer", FFN, "--order", word)
    due = lookup.run(layer.cfg, layer.weights, layer.job(layer.tokens(x), order))
    assert status == 0 and np.array_equal(out["y_fixed"], due.y)
    assert np.array_equal(out["y"], due.y / 2.0**layer.point_y)
    assert np.array_equal(out["codes"], due.codes)
    assert report["table_bytes"] == due.table_bytes and report["order"] == word
    assert report["tokens_saturated"] == 1


def test_residual(call, layers):
    layer = layers[RESIDUAL]
    rng = np.random.default_rng(3)
    x, residual = real(layer, rng, 3, 40, layer.point_x), real(layer, rng, 3, 40, layer.point_y)
    _, out, _, _, _ = call({"x": x, "residual": residual}, "--layer", RESIDUAL)
    raw, _ = layer.cfg.fmt.output.quantise(residual, layer.point_y)
    due = lookup.run(layer.cfg, layer.weights, layer.job(layer.tokens(x), residual=raw))
    assert np.array_equal(out["y_fixed"], due.y)


@pytest.mark.parametrize("name, shape", [(ATTENTION, (11, 24)), (FFN, (6, 16))])
def test_rtl(call, name, shape):
    pytest.importorskip("amaranth", reason="needs the rtl extra")
    x = {"x": np.random.default_rng(4).normal(size=shape)}
    (_, golden, _, _, _), (status, rtl, report, _, _) = (
        call(x, "--layer", name, "--backend", backend) for backend in ("golden", "rtl"))
    assert status == 0 and report["cycles"]["source"] == "rtl"
    assert set(rtl) == set(golden) and all(np.array_equal(rtl[key], golden[key]) for key in rtl)


def test_list(folder, layers, capsys, tmp_path):
    assert run.main(["model", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == list(layers)
    assert lines[1].startswith(f"{ATTENTION}: cta, mode cta, 2 heads of 8, tokens 24, n 48, l 5, ")
    assert run.main(["model", str(folder), "--report", str(tmp_path / "r.json")]) == 0
    listed = json.loads((tmp_path / "r.json").read_text())["layers"]
    assert [layer["name"] for layer in listed] == list(layers)


def test_summary(folder, tmp_path, capsys):
    np.savez(tmp_path / "x.npz", x=np.full((5, 16), 1e3))
    assert run.main(["model", str(folder), "--layer", FFN, "--input", str(tmp_path / "x.npz")]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{FFN}, golden: t 5, h 4, tau 3\n") and "(cycle model)" in text


X = np.ones((5, 16))
WRONG = {
    "layer": (dict(x=X), ["--layer", "nothing"], "layer 'nothing' is unknown, must be one of blo"),
    "no layer": (dict(x=X), [], "--layer is missing, must be one of blocks.0"),
    "size": (dict(x=X[:, :8]), ["--layer", FFN], "x has 8 elements a token, the layer takes 16"),
    "rank": (dict(x=X[0]), ["--layer", FFN], r"x has shape \(16,\), must be \(any, any\)"),
    "nan": (dict(x=X * np.nan), ["--layer", FFN], "x has 80 NaN of 80 values, must be finite"),
    "key": (dict(y=X), ["--layer", FFN], "key 'y' is unknown, must be one of x, residual"),
    "residual": (dict(x=X, residual=X), ["--layer", FFN], "has x, residual, must have x$"),
    "no residual": (dict(x=np.ones((2, 40))), ["--layer", RESIDUAL], "must have x and residual"),
    "short residual": (dict(x=np.ones((2, 40)), residual=np.ones((1, 40))), ["--layer", RESIDUAL],
                       "residual has 1 tokens, must have 2"),
    "half": (dict(xq=np.ones((5, 24))), ["--layer", ATTENTION], "has xq, must have x, or xq and"),
    "empty": ({}, ["--layer", ATTENTION], "has nothing, must have x, or xq and xkv"),
    "tokens": (dict(x=np.ones((49, 24))), ["--layer", ATTENTION], r"n is 49, must be in 1\.\.48"),
    "backend": (dict(x=X), ["--layer", FFN, "--backend", "float"], "invalid choice: 'float'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input(call, name):
    arrays, flags, message = WRONG[name]
    status, _, _, out, err = call(arrays, *flags)
    assert status == 2 and out == "" and err.count("\n") == 1
    assert re.search(message, err.strip()), err


def test_damaged_export(folder, capsys):
    image = next(folder.glob("004-*.bin"))
    image.write_bytes(image.read_bytes()[:-1])
    assert run.main(["model", str(folder), "--layer", FFN, "--input", "x.npz"]) == 2
    assert f"{image.name} has " in capsys.readouterr().err
    assert run.main(["model", str(folder / "nothing")]) == 2
    assert "is not an export" in capsys.readouterr().err
