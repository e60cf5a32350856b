"""Any finite .npz: status 0 with valid JSON, or status 2 with one line. Never a traceback, never a
warning of numpy; what is not finite is refused by the name of its array and the count."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.fixed import Format
from sw.demo import head as demo
from sw.exported.writer import export
from sw.run import command
from sw.studies import budget
from tests.sw.exported import made as image_made

KINDS = ("normal", "zero", "constant", "small", "tiny", "denormal", "large", "huge", "largest",
         "spread", "one", "negative", "float16", "integers")


def made(kind, shape, seed):
    """An array of one kind of extreme."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    if kind == "one":
        lone = np.zeros(shape)
        lone.reshape(-1)[seed % max(1, lone.size):][:1] = 1e30
        return lone
    return {"normal": x, "zero": 0 * x, "constant": np.full(shape, 0.7), "small": 1e-4 * x,
            "tiny": 1e-300 * x, "denormal": np.full(shape, 5e-324), "large": 1e30 * x,
            "huge": 1e300 * np.sign(x), "largest": np.finfo(float).max * np.sign(x),
            "spread": x * 10.0**rng.integers(-30, 30, size=shape), "negative": -np.abs(x) * 1e3,
            "float16": x.astype(np.float16), "integers": rng.integers(-9, 9, shape)}[kind]


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")
    return json.loads(text, parse_constant=refuse)


def runs(folder, capfd, engine, arrays, *flags, main=command.main):
    """Status and stderr of one command in its own words, after every property that must hold."""
    source, report, output = folder / "in.npz", folder / "report.json", folder / "out.npz"
    for old in (report, output):
        old.unlink(missing_ok=True)
    np.savez(source, **arrays)
    capfd.readouterr()
    where = [str(source)] if isinstance(engine, str) else ["--input", str(source)]
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        status = main([*([engine] if isinstance(engine, str) else engine), *where, "--report",
                       str(report), "-o", str(output), *flags])
    err = capfd.readouterr().err
    if status == 0:
        strict(report.read_text())
        with np.load(output) as found:
            assert all(np.isfinite(found[key]).all() for key in found.files)
        # A large share that saturates is told even where the report is a file.
        assert all(line.startswith("sw.run: ") for line in err.splitlines())
    else:
        assert status == 2 and len(err.splitlines()) == 1 and err.startswith("sw.run: "), err
        assert not report.exists() and not output.exists()
    return status, err


USUAL = {"wq": 0.3, "wk": 0.3, "wv": 0.3, "blocks": 0.18, "dense": 0.3, "z_bias": 0.1,
         "tables": 0.05, "out_bias": 0.02}
"""Deviations as a trained layer has them."""


def sized(kinds, key, shape, seed):
    """The array of a key: as in a trained layer, or an extreme."""
    if key in kinds:
        return made(kinds[key], shape, seed)
    return USUAL.get(key, 1.0) * made("normal", shape, seed)


def head(kinds, seed=0, n=9, dw=8, d=8, extra=()):
    shapes = {"x": (n, dw), "wq": (dw, d), "wk": (dw, d), "wv": (dw, d), "bq": (d,), "bv": (d,),
              "a": (3, 4, dw), "b": (3, 4), "w": (3,)}
    keys = ("x", "wq", "wk", "wv", *extra)
    found = {key: sized(kinds, key, shapes[key], seed + at) for at, key in enumerate(keys)}
    if "w" in found:
        found["w"] = np.abs(found["w"])
    return found


def layer(kinds, seed=0, t=5, d=8, h=4, tau=3, dense=False, extra=()):
    shapes = {"x": (t, d), "blocks": (2, 4, 2, 4, 4), "dense": (h * tau, d), "z_bias": (h * tau,),
              "tables": (h, 1 << tau, d), "out_bias": (d,), "residual": (t, d)}
    keys = ("x", "dense" if dense else "blocks", "z_bias", "tables", "out_bias", *extra)
    return {key: sized(kinds, key, shapes[key], seed + at) for at, key in enumerate(keys)}


SETTINGS = settings(max_examples=40, deadline=None, derandomize=True, database=None,
                    suppress_health_check=list(HealthCheck))
HEAD_KEYS = ("x", "wq", "wk", "wv", "bq", "bv", "a", "b", "w")
LAYER_KEYS = ("x", "blocks", "dense", "z_bias", "tables", "out_bias", "residual")


@st.composite
def assignments(draw, keys):
    return {key: draw(st.sampled_from(KINDS)) for key in keys
            if draw(st.integers(0, 2)) == 0}


def check_head(folder, capfd, tried, kinds, extra, mode, hashing, backend, seed):
    flags = ["--mode", mode, "--backend", backend]
    if "a" not in extra:
        flags += ["--hash", hashing]
    status, _ = runs(folder, capfd, "cta", head(kinds, seed, extra=extra), *flags)
    tried("extremes: heads", inputs=1, ran=1 - status // 2)


def check_layer(folder, capfd, tried, kinds, dense, extra, backend, seed):
    status, _ = runs(folder, capfd, "lookup", layer(kinds, seed, dense=dense, extra=extra),
                     "--backend", backend)
    tried("extremes: layers", inputs=1, ran=1 - status // 2)


EXTRAS = st.sampled_from([(), ("bq", "bv"), ("a",), ("a", "b", "w"), ("w",), ("b",)])
BACKEND = st.sampled_from(["golden", "golden", "float"])


@pytest.mark.reliability
def test_any_head(tmp_path, capfd, tried):
    @SETTINGS
    @given(assignments(HEAD_KEYS), EXTRAS, st.sampled_from(["cta", "exact"]),
           st.sampled_from(["random", "projection"]), BACKEND, st.integers(0, 99))
    def check(kinds, extra, mode, hashing, backend, seed):
        check_head(tmp_path, capfd, tried, kinds, extra, mode, hashing, backend, seed)
    check()


@pytest.mark.reliability
def test_any_layer(tmp_path, capfd, tried):
    @SETTINGS
    @given(assignments(LAYER_KEYS), st.booleans(), st.sampled_from([(), ("residual",)]), BACKEND,
           st.integers(0, 99))
    def check(kinds, dense, extra, backend, seed):
        check_layer(tmp_path, capfd, tried, kinds, dense, extra, backend, seed)
    check()


@pytest.mark.reliability
@pytest.mark.nightly
def test_many_heads_and_layers(tmp_path, capfd, tried):
    many = settings(SETTINGS, max_examples=1500)

    @many
    @given(assignments(HEAD_KEYS), EXTRAS, st.sampled_from(["cta", "exact"]),
           st.sampled_from(["random", "projection"]), BACKEND, st.integers(0, 99))
    def heads(kinds, extra, mode, hashing, backend, seed):
        check_head(tmp_path, capfd, tried, kinds, extra, mode, hashing, backend, seed)

    @many
    @given(assignments(LAYER_KEYS), st.booleans(), st.sampled_from([(), ("residual",)]), BACKEND,
           st.integers(0, 99))
    def layers(kinds, dense, extra, backend, seed):
        check_layer(tmp_path, capfd, tried, kinds, dense, extra, backend, seed)
    heads()
    layers()


@pytest.mark.reliability
@pytest.mark.parametrize("kind", KINDS)
def test_each_extreme_in_each_array(kind, tmp_path, capfd, tried):
    for key in ("x", "wq", "wv"):
        for mode in ("cta", "exact"):
            check_head(tmp_path, capfd, tried, {key: kind}, (), mode, "random", "golden", 1)
    for key in ("x", "blocks", "tables"):
        check_layer(tmp_path, capfd, tried, {key: kind}, False, (), "golden", 1)


BAD = {"NaN": np.nan, "infinite": np.inf}


@pytest.mark.reliability
@pytest.mark.parametrize("what", BAD)
def test_what_is_not_finite_is_refused_by_name_and_count(what, tmp_path, capfd, tried):
    for engine, arrays in (("cta", head({}, extra=HEAD_KEYS[4:])),
                           ("lookup", layer({}, extra=("residual",)))):
        for key in arrays:
            changed = {**arrays, key: arrays[key].copy()}
            changed[key].reshape(-1)[:2] = BAD[what]
            status, err = runs(tmp_path, capfd, engine, changed)
            size = changed[key].size
            assert status == 2 and f"{key} has 2 {what} of {size} values, must be finite" in err
            tried("not finite: files", inputs=1)


def test_an_output_of_zeros_has_no_relative_error(tmp_path, capfd):
    status, _ = runs(tmp_path, capfd, "cta", head({"wv": "zero"}))
    data = strict((tmp_path / "report.json").read_text())
    assert status == 0 and data["error"]["against exact attention"] is None
    command.main(["cta", str(tmp_path / "in.npz")])
    assert "against exact attention: undefined" in capfd.readouterr().out


@pytest.mark.parametrize("kind", ["small", "tiny", "denormal", "zero"])
def test_exact_mode_needs_no_hash(kind, tmp_path, capfd):
    """Exact attention of small tokens is no matter of a hash that is not used."""
    status, err = runs(tmp_path, capfd, "cta", head({"x": kind}), "--mode", "exact")
    assert status == 0, err
    if kind == "small":
        data = strict((tmp_path / "report.json").read_text())
        assert data["error"]["against exact attention"] < 0.02


def test_a_size_of_next_to_nothing_has_the_finest_point():
    from model.cta.quantise import POINT_MAX, point
    for fit in (5e-324, 1e-300, 1e-20):
        assert point(Format(True, 13, 7), fit) == POINT_MAX


# -- the other commands that read such files -------------------------------------------------------

@pytest.mark.reliability
def test_any_tokens_of_an_exported_layer(tmp_path, capfd, tried):
    rng = np.random.default_rng(0)
    layers = {"a": image_made.attention_layer(image_made.CTA["one slice"], rng),
              "f": image_made.ffn_layer(image_made.LOOKUP["bh4"], rng),
              "r": image_made.ffn_layer(image_made.LOOKUP["neighbours, residual"], rng)}
    export(layers, tmp_path / "e")
    for name, one in layers.items():
        wide = one.cfg.dw if name == "a" else one.cfg.d
        keys = {"a": ("x",), "f": ("x",), "r": ("x", "residual")}[name]
        for kind in KINDS:
            for key in keys:
                arrays = {k: made(kind if k == key else "normal", (4, wide), 1) for k in keys}
                status, err = runs(tmp_path, capfd, ["model", str(tmp_path / "e"), "--layer", name],
                                   arrays)
                if status == 0:
                    data = strict((tmp_path / "report.json").read_text())
                    crossing = data["operands"][key]
                    assert crossing["elements"] == 4 * wide
                    if kind == "large":
                        assert crossing["saturated"] > 3 * wide and f"{key} " in err
                tried("extremes: exported layers", inputs=1, ran=1 - status // 2)
        for what, value in BAD.items():
            arrays = {k: made("normal", (4, wide), 1) for k in keys}
            arrays[keys[-1]][1, :3] = value
            status, err = runs(tmp_path, capfd, ["model", str(tmp_path / "e"), "--layer", name],
                               arrays)
            assert status == 2 and f"{keys[-1]} has 3 {what} of {4 * wide} values" in err


@pytest.mark.reliability
@pytest.mark.parametrize("part", ["head", "layer"])
def test_budgets_of_extremes(part, tmp_path, capfd, tried):
    cases = [(key, kind) for kind in KINDS for key in (("x", "wv") if part == "head" else
                                                        ("x", "tables"))]
    for key, kind in cases:
        arrays = head({key: kind}) if part == "head" else layer({key: kind})
        source, report = tmp_path / "in.npz", tmp_path / "report.json"
        np.savez(source, **arrays)
        report.unlink(missing_ok=True)
        with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
            warnings.simplefilter("error")
            status = budget.main([str(source), "--report", str(report)])
        err = capfd.readouterr().err
        if status == 0:
            strict(report.read_text())
            assert err == ""
        else:
            assert status == 2 and len(err.splitlines()) == 1 and not report.exists(), (key, kind)
        tried("extremes: budgets", inputs=1, ran=1 - status // 2)


@pytest.mark.reliability
@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["zero", "constant", "large", "denormal"])
def test_the_demo_of_extremes(kind, tmp_path, capfd, tried, monkeypatch):
    """Its head, the other parts left out: a layer is that of sw.run, and the encoder is shipped."""
    pytest.importorskip("matplotlib", reason="needs the plot extra")
    for part in (demo.demo_lookup, demo.demo_encoder):
        monkeypatch.setattr(part, "show", lambda *_, **__: False)
    np.savez(tmp_path / "head.npz", x=made("normal", (340, 64), 1), wq=made("normal", (64, 64), 4),
             wk=made("normal", (64, 64), 2), wv=made(kind, (64, 64), 3))
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        status = demo.main(["--rtl", "none", "--head", str(tmp_path / "head.npz"), "-o",
                            str(tmp_path / "out")])
    err = capfd.readouterr().err
    if status == 0:
        strict((tmp_path / "out" / "report.json").read_text())
        assert err == ""
    else:
        assert status == 2 and len(err.splitlines()) == 1
    tried("extremes: demo", inputs=1, ran=1 - status // 2)


def test_a_report_has_null_for_what_is_undefined(tmp_path):
    """Any command's report: the loss of a checkpoint that has diverged is NaN."""
    from sw.io.writing import write_json
    write_json(tmp_path / "r.json", {"loss": float("nan"), "rows": [(1.5, float("-inf"))],
                                     "far": np.float64("inf"), "n": 3})
    assert strict((tmp_path / "r.json").read_text()) == {
        "loss": None, "rows": [[1.5, None]], "far": None, "n": 3}
