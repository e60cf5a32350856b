"""Queries and keys out of files."""

import numpy as np
import pytest

from sw.io.errors import InputError
from sw.io.shipped import HEAD
from sw.rivals.operands import read_layer


def written(path, **arrays):
    np.savez(path / "layer.npz", **arrays)
    return path / "layer.npz"


def test_the_head_that_ships():
    layer = read_layer(HEAD)
    with np.load(HEAD) as data:
        x = data["x"].astype(float)
        assert np.allclose(layer.q[0], x @ data["wq"] + data["bq"])
        assert np.allclose(layer.k[0], x @ data["wk"] + data["bk"])
        assert np.allclose(layer.v[0], x @ data["wv"] + data["bv"])
    assert (layer.n, layer.heads, layer.d, layer.width) == (512, 1, 64, 64)
    few = read_layer(HEAD, 10, 3, (4, 3, 2))
    assert few.q.shape == (3, 10, 64) and few.clusters == (4, 3, 2)
    assert (few.q[2] == layer.q[0, :10]).all() and few.v.shape == (3, 10, 64)
    assert (few.sources[0].xkv == layer.sources[0].xkv[:10]).all()


def test_queries_and_keys(tmp_path):
    q, k = np.random.default_rng(0).standard_normal((2, 3, 7, 8))
    layer = read_layer(written(tmp_path, q=q, k=k, dw=24))
    assert (layer.q == q).all() and (layer.k == k).all()
    assert (layer.n, layer.heads, layer.d, layer.width) == (7, 3, 8, 24)
    assert layer.v is None and layer.sources == ()
    few = read_layer(written(tmp_path, q=q, k=k, v=2 * k), 4)
    assert few.width == 8 and (few.v == 2 * k[:, :4]).all()


@pytest.mark.parametrize("arrays, more, message", [
    ({"q": 1}, {}, "must have q and k"),
    ({"q": 1, "k": 1, "x": 1}, {}, "must have q and k"),
    ({"q": 1, "k": 1, "dw": 12}, {}, "dw is 12, must be a multiple of d = 8"),
    ({"q": 1, "k": 1}, {"n": 8}, "n is 8, must be in 1..7"),
    ({"q": 1, "k": 1}, {"n": 0}, "n is 0, must be in 1..7"),
    ({"q": 1, "k": 1}, {"heads": 2}, "heads is 2, must be 3"),
    ({"q": 1, "k": 1}, {"clusters": (8, 1, 1)}, "k0 is 8, must be in 1..7"),
    ({"x": 1}, {}, "key 'wq' is missing"), ({"y": 1}, {}, "key 'y' is unknown")])
def test_bad_files(tmp_path, arrays, more, message):
    values = {name: value if name == "dw" else np.ones((3, 7, 8)) for name, value in arrays.items()}
    with pytest.raises(InputError, match=message):
        read_layer(written(tmp_path, **values), **more)


def test_heads_of_a_layer(tmp_path):
    with np.load(HEAD) as data:
        head = {name: data[name] for name in data.files}
    other, foreign = head | {"wq": 2 * head["wq"]}, head | {"x": head["x"] + 1}
    for name, arrays in (("other", other), ("foreign", foreign), ("short", head | {"x": head["x"][:9]})):
        np.savez(tmp_path / f"{name}.npz", **arrays)
    layer = read_layer([HEAD, tmp_path / "other.npz"], 8)
    assert (layer.heads, layer.n, len(layer.sources), layer.q.shape) == (2, 8, 2, (2, 8, 64))
    assert (layer.q[1] == read_layer(tmp_path / "other.npz", 8).q[0]).all()
    for name in ("foreign", "short"):
        with pytest.raises(InputError, match=f"{name}.npz and .* must be heads of one layer"):
            read_layer([HEAD, tmp_path / f"{name}.npz"])
    bare = written(tmp_path, q=layer.q, k=layer.k)
    for paths in ([HEAD, bare], [bare, HEAD]):
        with pytest.raises(InputError, match="layer.npz is no head, and of several files each must be"):
            read_layer(paths)


def test_no_file():
    with pytest.raises(InputError, match="none.npz does not exist"):
        read_layer("none.npz")
