"""The command line: good input gives what it says, bad input one line and nothing else."""


import numpy as np
import pytest

from sw.run import command as run

N, DW, D, L = 40, 32, 16, 3


def head(rng=None, **changes):
    rng = np.random.default_rng(3) if rng is None else rng
    arrays = {"x": rng.normal(size=(N, DW)), "bq": rng.normal(size=D), "bk": rng.normal(size=D),
              "bv": rng.normal(size=D)}
    arrays.update({name: rng.normal(size=(DW, D)) / 4 for name in ("wq", "wk", "wv")})
    arrays.update(changes)
    return {name: value for name, value in arrays.items() if value is not None}


@pytest.fixture
def call(call_on):
    return call_on("cta")


@pytest.mark.parametrize("backend", ["float", "golden"])
def test_outputs_and_report(call, backend):
    status, out, report, _ = call(head(), "--compression", 0.6, "--l", L, backend=backend)
    assert status == 0
    assert out["o"].shape == out["o_fixed"].shape == (N, D)
    assert np.issubdtype(out["o_fixed"].dtype, np.integer)
    for c, size in enumerate((N, N, N)):
        ct = out[f"ct{c}"]
        assert ct.shape == (size,) and ct.max() + 1 == report[f"k{c}"]
    k0, k = report["k0"], report["k1"] + report["k2"]
    assert report["RL"] == pytest.approx((k0 + 2 * k) / (3 * N))
    assert report["RA"] == pytest.approx(k0 * k / N**2)
    assert report["RL"] == pytest.approx(0.6, abs=0.05)
    assert report["config"]["d"] == D and report["config"]["dw"] == DW
    assert report["backend"] == backend and report["mode"] == "cta"
    assert set(report["error"]) == {"against exact attention", "float CTA against exact attention",
                                    "against float CTA, clusters forced"}
    if backend == "golden":
        assert report["error"]["against float CTA, clusters forced"] < 0.03
        assert set(report["saturations"]) >= {"hash", "linear", "output"}
        scale = out["o"] / np.where(out["o_fixed"] == 0, 1, out["o_fixed"])
        assert np.unique(scale[out["o_fixed"] != 0]).size == 1


def test_same_seed_same_bits(call):
    first, again, other = (call(head(), "--seed", s)[1]["o_fixed"] for s in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_exact_mode(call):
    arrays = head()
    status, out, report, _ = call(arrays, "--mode", "exact")
    assert status == 0 and report["RL"] == 1
    assert report["error"]["against exact attention"] < 0.02
    # The key bias cancels: with it in the reference, the answer is still right.
    q, k, v = (arrays["x"] @ arrays[f"w{i}"] + arrays[f"b{i}"] for i in "qkv")
    s = np.exp(q @ k.T / 4)
    assert np.allclose(out["o"], s / s.sum(1, keepdims=True) @ v, atol=0.05)


def test_cross_attention(call):
    rng = np.random.default_rng(1)
    xq = rng.normal(size=(17, DW))
    status, out, report, _ = call(head(x=None, xkv=rng.normal(size=(N, DW)), xq=xq))
    assert status == 0 and out["o"].shape == (17, D)
    assert (report["n"], report["m"]) == (N, 17)
    assert out["ct0"].shape == (17,) and out["ct1"].shape == (N,)


@pytest.mark.parametrize("backend", ["float", "golden"])
def test_given_hash_is_used(call, backend):
    rng = np.random.default_rng(2)
    a, w = rng.normal(size=(L, DW)), np.array([8.0, 7.0, 4.0])
    b = rng.uniform(size=(3, L)) * w[:, None]
    one = call(head(a=a, b=b, w=w), backend=backend)
    three = call(head(a=np.stack([a] * 3), b=b, w=w), backend=backend)
    assert one[0] == three[0] == 0
    assert np.array_equal(one[1]["o_fixed"], three[1]["o_fixed"])
    assert one[2]["hashing"]["w used"] == [8, 7, 4] and one[2]["config"]["l"] == L
    code = np.floor((head()["x"] @ a.T + b[1]) / w[1])
    assert abs(one[2]["k1"] - len(np.unique(code, axis=0))) <= 2


def test_clusters_asked_for(call):
    _, _, report, _ = call(head(), "--clusters", "20,15,6")
    assert [report["k0"], report["k1"], report["k2"]] == pytest.approx([20, 15, 6], abs=1)


def test_fitted_hash(call):
    status, _, report, _ = call(head(), "--hash", "projection", "--l", 8)
    assert status == 0 and report["hashing"]["a"] == "projection"
    assert call(head(a=np.ones((L, DW))), "--hash", "projection")[0] == 2


def test_capacity_overflow_is_reported(call):
    status, _, report, _ = call(head(), "--clusters", "20,15,6", "--k0", 5)
    assert status == 0 and report["k0"] == 5 and report["overflow"]["lsh0"] > 0


def test_single_token_and_single_query(call):
    assert call(head(x=np.ones((1, DW))))[2]["k1"] == 1
    assert call(head(x=np.zeros((3, DW))))[2]["k0"] == 1


def test_config_file_and_flags(call, tmp_path):
    (tmp_path / "config.json").write_text('{"b": 4, "n": 64, "l": 2}')
    report = call(head(), "--config", tmp_path / "config.json", "--l", 5)[2]
    assert [report["config"][name] for name in ("b", "n", "l")] == [4, 64, 5]


def nan(shape):
    value = np.ones(shape)
    value.flat[3] = np.nan
    return value


BAD = {
    "nan": (head(x=nan((N, DW))), [], " NaN of "),
    "infinite": (head(wk=np.full((DW, D), np.inf)), [], " infinite of "),
    "shape": (head(wk=np.ones((DW, D + 1))), [], "wk has shape (32, 17), must be (32, 16)"),
    "token width": (head(x=np.ones((N, 5))), [], "x has shape (40, 5), must be (any, 32)"),
    "no tokens": (head(x=np.ones((0, DW))), [], "x is empty"),
    "missing": (head(wv=None), [], "key 'wv' is missing"),
    "no x": (head(x=None), [], "tokens must come as x"),
    "half cross": (head(x=None, xq=np.ones((N, DW))), [], "tokens must come as x"),
    "unknown key": (head(wo=np.ones(3)), [], "key 'wo' is unknown"),
    "text": (head(x=np.full((N, DW), "a")), [], "x has dtype <U1"),
    "objects": (head(x=np.array([None])), [], "x holds Python objects"),
    "bias": (head(bq=np.ones(3)), [], "bq has shape (3,), must be (16,)"),
    "a": (head(a=np.ones((2, 3, DW))), [], "a has shape (2, 3, 32)"),
    "b": (head(a=np.ones((3, DW)), b=np.ones((3, 4))), [], "b has shape (3, 4), must be (3, 3)"),
    "w": (head(w=np.array([1.0, 0, 1])), [], "w is [1.0, 0.0, 1.0], must be above 0"),
    "w tiny": (head(w=np.full(3, 1e-12)), [], "w = 1e-12 cannot be represented"),
    "too many": (head(), ["--n", 32], "there are 40 tokens, the engine is built for at most n"),
    "far too many": (head(x=np.ones((2049, DW))), [], "there are 2049 tokens"),
    "d": (head(), ["--d", 8], "wq has shape (32, 16)"),
    "d illegal": (head(), ["--d", 12], "d is 12, must be one of"),
    "b illegal": (head(), ["--b", 3], "b is 3, must be one of (2, 4, 8, 16, 32)"),
    "exact beyond capacity": (head(), ["--mode", "exact", "--exact", 20], "do not fit exact = 20"),
    "exact compressed": (head(), ["--mode", "exact", "--compression", 0.5], "exact mode does not"),
    "compression": (head(), ["--compression", 1.5], "compression is 1.5, must be in (0, 1]"),
    "clusters": (head(), ["--clusters", "50,1,1"], "k0 is 50, must be in 1..40"),
    "clusters text": (head(), ["--clusters", "5,1"], "'5,1' is not K0,K1,K2"),
    "both": (head(w=np.ones(3)), ["--compression", 0.5], "the file has w"),
    "flag": (head(), ["--bogus", 1], "unrecognized arguments"),
    "config": (head(), ["--config", "/nowhere.json"], "config /nowhere.json cannot be read"),
    "folder": (head(), ["-o", "/nowhere/out.npz"], "its folder does not exist"),
    "seed": (head(), ["--seed", -1], "seed is -1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(call, case):
    arrays, flags, message = BAD[case]
    status, outputs, report, err = call(arrays, *flags)
    assert status == 2 and outputs is None and report is None
    assert message in err and err.count("\n") == 1, err


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_not_a_head(tmp_path, capsys, content):
    path = tmp_path / "head.npz"
    path.write_bytes(content)
    assert run.main(["cta", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert run.main(["cta", str(tmp_path / "none.npz")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    from sw.io import writing as npz_file
    target = tmp_path / "out.npz"
    target.write_text("old")

    def fail(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(npz_file.np, "savez_compressed", fail)
    with pytest.raises(npz_file.InputError, match="No space left"):
        npz_file.write_npz(target, {})
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
