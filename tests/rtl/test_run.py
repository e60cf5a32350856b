"""``python -m sw.run``: the RTL backend gives what the golden backend gives."""

import json

import numpy as np
import pytest

from model.cta.job import Saturation
from sw.run import command as run

N, D = 30, 8


@pytest.mark.parametrize("flags", [["--compression", "0.6"], ["--mode", "exact"]], ids=" ".join)
def test_backends_give_the_same_bits(tmp_path, flags):
    rng = np.random.default_rng(2)
    np.savez(tmp_path / "head.npz", x=rng.normal(size=(N, D)),
             **{name: rng.normal(size=(D, D)) / 3 for name in ("wq", "wk", "wv")},
             **{name: rng.normal(size=D) / 3 for name in ("bq", "bk", "bv")})
    outputs, reports = {}, {}
    for backend in ("golden", "rtl"):
        out, report = tmp_path / f"{backend}.npz", tmp_path / f"{backend}.json"
        # The engine of tests.rtl.test_head "plain", so that it is built once.
        status = run.main(["cta", str(tmp_path / "head.npz"), "--backend", backend, "-o", str(out),
                           "--report", str(report), "--b", "4", "--l", "2", "--n", "64", *flags])
        assert status == 0
        outputs[backend], reports[backend] = dict(np.load(out)), json.loads(report.read_text())
    assert outputs["golden"].keys() == outputs["rtl"].keys() >= {"o", "o_fixed", "ct0", "ct1", "ct2"}
    for name, golden in outputs["golden"].items():
        np.testing.assert_array_equal(outputs["rtl"][name], golden, err_msg=name)
    golden, rtl = reports["golden"], reports["rtl"]
    assert {golden.pop("backend"), rtl.pop("backend")} == {"golden", "rtl"}
    assert golden["cycles"].pop("source") != rtl["cycles"].pop("source")
    assert len(rtl["saturations"]) == len(Saturation)
    for name in ("k0", "k1", "k2", "RL", "RA", "cycles", "saturations", "overflow", "zero_rows"):
        assert rtl[name] == golden[name], name
