import pytest

from sw.explore.workload import clusters, read
from sw.io.errors import InputError
from sw.io.shipped import HEAD


def test_a_net_has_its_shape():
    found = read("cta", {"net": "BERT-base", "n": 384, "layers": 12}, 0)
    assert (found["dw"], found["d"], found["heads"], found["shared"]) == (768, 64, 12, True)
    assert (found["name"], found["layers"], found["operands"]) == ("BERT-base", 12, None)


@pytest.mark.parametrize("point, own, expected", [
    ("CTA-0.5", {}, (272, 239, 26)), ("exact", {}, None), (None, {}, (322, 258, 29)),
    ("exact", {"point": "CTA-1"}, (200, 217, 24)), ("exact", {"clusters": [3, 2, 1]}, (3, 2, 1))])
def test_clusters(point, own, expected):
    """Of a workload go before those of the space; the first point is the default."""
    assert clusters(read("cta", {"net": "MiniLM", "n": 512, **own}, 0), point) == expected


def test_operands_are_told_by_what_is_in_them(tmp_path):
    path = tmp_path / "head.npz"
    path.write_bytes(HEAD.read_bytes())
    one = read("cta", {"d": 64, "n": 512, "operands": str(path)}, 0)["operands"]
    path.write_bytes(HEAD.read_bytes() + b"more")
    other = read("cta", {"d": 64, "n": 512, "operands": [str(path)]}, 0)["operands"]
    assert one["files"] == other["files"] == [str(path)] and one["hash"] != other["hash"]


@pytest.mark.parametrize("given, text", [
    ({"net": "GPT", "n": 8}, "workloads[2].net is 'GPT', must be one of MiniLM, BERT-base"),
    ({"net": "MiniLM", "d": 8, "n": 8}, "workloads[2].d is given, and MiniLM has its own"),
    ({"net": "MiniLM"}, "workloads[2].n is None, must be an integer in 1..2048"),
    ({"d": 8, "n": 4096}, "workloads[2].n is 4096, must be in 1..2048"),
    ({"d": 8, "n": 8, "point": "CTA-9"}, "workloads[2].point is 'CTA-9', must be one of CTA-0"),
    ({"d": 8, "n": 8, "point": "CTA-0", "clusters": [1, 1, 1]}, "has a point and clusters"),
    ({"d": 8, "n": 8, "clusters": [9, 1, 1]}, "clusters is [9, 1, 1], must be k0, k1, k2 in 1..n = 8"),
    ({"d": 8, "n": 8, "operands": "none.npz"}, "operands none.npz cannot be read"),
    ({"d": 8, "n": 8, "operands": []}, "operands is [], must be a file or a list of files"),
    ({"tokens": 8}, "workloads[2] key 'tokens' is unknown")])
def test_refused(given, text):
    with pytest.raises(InputError) as error:
        read("cta", given, 2)
    assert text in str(error.value)


def test_lookup():
    assert read("lookup", {"d": 512}, 0)["tokens"] == 128
    with pytest.raises(InputError, match="lacks 'd'"):
        read("lookup", {}, 0)
