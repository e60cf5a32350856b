"""``python -m sw.run lookup``: good input gives what it says, bad input one line, nothing else."""


import numpy as np
import pytest

from model.lookup import reference
from model.lookup.config import LookupConfig
from sw.io.figures import relative_error
from sw.run import command as run

T, D, H, TAU, BLOCK = 21, 24, 5, 4, 8
ROWS = 1 << TAU


def layer(**changes):
    """A layer whose d is padded to 32; None takes a key away."""
    real = reference.synthetic(LookupConfig(d=D, h=H, tau=TAU, block=BLOCK), T, seed=4)
    arrays = {"x": real.x, "blocks": real.w, "z_bias": real.z_bias, "tables": real.tables,
              "out_bias": real.out_bias} | changes
    return {name: value for name, value in arrays.items() if value is not None}


def dense(**changes):
    w = np.random.default_rng(5).normal(0, 2 / np.sqrt(D), (H * TAU, D))
    return layer(**{"blocks": None, "dense": w} | changes)


def forward(arrays):
    """The layer by the words of the paper, one token and table at a time."""
    n = 32
    hadamard = np.array([[(-1) ** (i & k).bit_count() for i in range(n)] for k in range(n)])
    skip, gain = arrays.get("skip", (0.3, 0.7))
    y, codes = [], []
    for x in arrays["x"]:
        if "dense" in arrays:
            z = arrays["dense"] @ x
        else:
            padded = np.r_[x, np.zeros(n - D)]
            parts = []
            for stages in arrays["blocks"]:
                part = padded
                for blocks in stages:
                    part = hadamard @ np.concatenate(
                        [w @ p for w, p in zip(blocks, part.reshape(-1, BLOCK))])
                parts.append(gain * part + skip * padded)
            z = np.concatenate(parts)[:H * TAU]
        z = (z + arrays["z_bias"]).reshape(H, TAU)
        code = [int("".join("1" if v > 0 else "0" for v in bits), 2) for bits in z]
        s = [np.abs(b).sum() / np.prod(1 + np.exp(-2 * np.abs(b))) for b in z]
        y.append(sum(s[k] * arrays["tables"][k, code[k]] for k in range(H)) + arrays["out_bias"])
        codes.append(code)
    return np.array(y) + arrays.get("residual", 0), np.array(codes)


@pytest.fixture
def call(call_on):
    return call_on("lookup")


VARIANTS = {
    "bh4": layer(), "dense": dense(),
    "skip": layer(skip=np.array([1.5, 0.25])),
    "residual": layer(residual=np.random.default_rng(6).normal(size=(T, D))),
}


@pytest.mark.parametrize("backend", ["float", "golden"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_outputs_and_report(call, variant, backend):
    arrays = VARIANTS[variant]
    status, out, report, _ = call(arrays, backend=backend)
    assert status == 0 and set(out) == {"y", "y_fixed", "codes"}
    assert out["y"].shape == out["y_fixed"].shape == (T, D) and out["codes"].shape == (T, H)
    assert np.issubdtype(out["y_fixed"].dtype, np.integer)
    assert np.allclose(out["y"], np.ldexp(out["y_fixed"].astype(float), -report["points"]["y"]),
                       atol=2.0 ** -report["points"]["y"])
    y, codes = forward(arrays)
    assert report["wrong_rows"] == pytest.approx(np.mean(out["codes"] != codes))
    error = report["error"]
    assert error["against float"] == pytest.approx(relative_error(out["y"], y), abs=1e-9)
    if backend == "float":
        assert np.allclose(out["y"], y) and np.array_equal(out["codes"], codes)
    else:
        assert 0 < error["against float, rows forced"] < 0.04 and report["wrong_rows"] < 0.05
        assert set(report["saturations"]) == {"block", "hadamard", "z", "score", "output"}
    assert report["config"]["residual"] == ("residual" in arrays)
    assert report["config"]["projection"] == ("dense" if "dense" in arrays else "bh4")
    assert report["backend"] == backend and report["tokens"] == T
    cycles = report["cycles"]
    assert cycles["source"] == "cycle model" and cycles["total"] == cycles["per_token"] * T
    assert cycles["per_token"] > report["cost"]["bound"]


def test_cost_and_table_bytes(call):
    report = call(layer(), "--lanes", 16)[2]
    assert report["cost"]["flop"] == 4 * (2 * 32 * BLOCK + 32 * 5) + 2 * H * D
    assert report["cost"]["vanilla_flop"] == 16 * D * D
    assert report["cost"]["table_entries"] == H * ROWS * D
    assert report["table_bytes"] == T * H * 32           # 24 bytes a row, in beats of 16
    batches = call(layer(), "--lanes", 16, "--batch", 10, "--order", "table-major")[2]
    assert batches["table_bytes"] == 3 * H * ROWS * 32


def test_without_a_tile(call):
    """Token-major as ever; table-major is refused before anything runs."""
    one, other = call(layer())[1], call(layer(), "--no-tile")[1]
    assert all(np.array_equal(one[name], other[name]) for name in one)
    for backend in ("float", "golden"):
        status, _, _, said = call(layer(), "--no-tile", "--order", "table-major", backend=backend)
        assert status == 2 and "ORDER: order is table-major, must be token-major on an engine" in said


def test_neither_order_nor_lanes_show(call):
    one = call(layer())[1]
    other = call(layer(), "--order", "table-major", "--lanes", 1, "--multipliers", 4)[1]
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_one_coefficient(call):
    one, two = (call(layer(skip=np.array(s)))[1]["y_fixed"] for s in (0.25, [0.25, 0.75]))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, call(layer())[1]["y_fixed"])


def test_variants_of_the_weight(call):
    plain = call(layer(), "--no-gelu_scaled")
    assert plain[0] == 0 and plain[2]["error"]["against float, rows forced"] < 0.04
    wide = call(layer(), "--neighbours")
    assert wide[0] == 0 and wide[2]["cost"]["gather_flop"] == 2 * H * (TAU + 1) * D
    assert wide[2]["error"]["against float, rows forced"] < 0.04


def test_units_do_not_matter(call):
    """Powers of two move the points and leave the bits alone."""
    one = call(layer())[1]["y_fixed"]
    other = call(layer(tables=layer()["tables"] * 2.0**-9,
                       out_bias=layer()["out_bias"] * 2.0**-9))[1]
    assert np.array_equal(one, other["y_fixed"])


def test_single_token_and_nothing_at_all(call):
    assert call(layer(x=np.ones((1, D))))[1]["y"].shape == (1, D)
    status, out, report, _ = call(layer(**{name: 0 * value for name, value in layer().items()}))
    assert status == 0 and not out["y_fixed"].any() and not out["codes"].any()
    assert report["error"]["against float"] is None


def test_config_file_and_flags(call, tmp_path):
    (tmp_path / "config.json").write_text('{"multipliers": 16, "batch": 3}')
    report = call(layer(), "--config", tmp_path / "config.json", "--batch", 5)[2]
    assert [report["config"][name] for name in ("multipliers", "batch", "d")] == [16, 5, D]


def test_summary(tmp_path, capsys):
    np.savez(tmp_path / "layer.npz", **layer())
    assert run.main(["lookup", str(tmp_path / "layer.npz")]) == 0
    out = capsys.readouterr().out
    assert "golden: t 21, d 24, h 5, tau 4, bh4, block 8" in out and "wrong rows" in out


def nan(shape):
    value = np.ones(shape)
    value.flat[3] = np.nan
    return value


BAD = {
    "nan": (layer(x=nan((T, D))), [], " NaN of "),
    "infinite": (layer(tables=np.full((H, ROWS, D), np.inf)), [], " infinite of "),
    "not finite": (layer(x=np.full((T, D), 1e308)), [], "x reaches 1e+308, must be at most 3.4e+38"),
    "missing": (layer(tables=None), [], "key 'tables' is missing"),
    "no projection": (layer(blocks=None), [], "must come as blocks (BH4), or as dense"),
    "two projections": (layer(dense=np.ones((H * TAU, D))), [], "must come as blocks"),
    "unknown key": (layer(T=np.ones(3)), [], "key 'T' is unknown"),
    "no tokens": (layer(x=np.ones((0, D))), [], "x is empty"),
    "too many": (layer(x=np.zeros((65536, D))), [], "there are 65536 tokens, must be at most"),
    "text": (layer(x=np.full((T, D), "a")), [], "x has dtype <U1"),
    "objects": (layer(x=np.array([None])), [], "x holds Python objects"),
    "token width": (layer(x=np.ones((T, 16))), [], "tables has shape (5, 16, 24), must be (any"),
    "rows": (layer(tables=np.ones((H, 12, D))), [], "12 rows a table, must be a power of two"),
    "one row": (layer(tables=np.ones((H, 1, D)), z_bias=np.ones(1)), [], "1 rows a table, must be"),
    "stages": (layer(blocks=np.ones((1, 3, 4, 8, 8))), [], "blocks has shape (1, 3, 4, 8, 8)"),
    "copies": (layer(blocks=np.ones((2, 4, 4, 8, 8))), [], "must be (1, 4, 4, 8, 8)"),
    "blocks": (layer(blocks=np.ones((1, 4, 3, 8, 8))), [], "must be (1, 4, 4, 8, 8)"),
    "not square": (layer(blocks=np.ones((1, 4, 4, 16, 8))), [], "must be (1, 4, 4, 8, 8)"),
    "block": (layer(blocks=np.ones((1, 4, 4, 6, 6))), [], "block is 6, must be a power of two"),
    "dense": (dense(dense=np.ones((H, D))), [], "dense has shape (5, 24), must be (20, 24)"),
    "z bias": (layer(z_bias=np.ones(7)), [], "z_bias has shape (7,), must be (20,)"),
    "out bias": (layer(out_bias=np.ones(7)), [], "out_bias has shape (7,), must be (24,)"),
    "residual": (layer(residual=np.ones((3, D))), [], "residual has shape (3, 24)"),
    "skip shape": (layer(skip=np.ones(3)), [], "skip has shape (3,)"),
    "skip range": (layer(skip=np.array([-0.1, 1])), [], "of x in skip is -0.1, must be in 0..1"),
    "gain range": (layer(skip=np.array([0.1, 2])), [], "BH4(x) in skip is 2, must be in 0..1.996"),
    "dense skip": (dense(skip=np.array([0.3, 0.7])), [], "a dense projection has no skip"),
    "d": (layer(**{"x": np.ones((T, 20)), "tables": np.ones((H, ROWS, 20)),
                   "out_bias": np.ones(20)}), [], "d is 20, must be a multiple of 8"),
    "huge": (layer(blocks=layer()["blocks"] * 1e9), [], "the layer cannot be represented, z"),
    "flag against file": (layer(), ["--h", 6], "the layer has h = 5, the engine is built for 6"),
    "block against file": (layer(), ["--block", 16], "blocks has shape (1, 4, 4, 8, 8), must be"),
    "residual missing": (layer(), ["--residual"], "the layer has residual = False"),
    "lanes": (layer(), ["--lanes", 3], "lanes is 3, must be a power of two"),
    "word": (layer(), ["--tables", "outside"], "tables is 'outside', must be one of"),
    "order": (layer(), ["--order", "random"], "invalid choice"),
    "flag": (layer(), ["--bogus", 1], "unrecognized arguments"),
    "config": (layer(), ["--config", "/nowhere.json"], "config /nowhere.json cannot be read"),
    "folder": (layer(), ["-o", "/nowhere/out.npz"], "its folder does not exist"),
    "is a folder": (layer(), ["-o", "/"], "it is a folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(call, case):
    arrays, flags, message = BAD[case]
    status, outputs, report, err = call(arrays, *flags)
    assert status == 2 and outputs is None and report is None
    assert message in err and err.count("\n") == 1, err
