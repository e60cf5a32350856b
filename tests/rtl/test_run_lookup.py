"""``python -m sw.run lookup`` and the bench on the RTL: what the golden backend gives."""

import json

import numpy as np
import pytest

from model.lookup.job import Order, Saturation
from model.lookup.reference import synthetic
from model.lookup.stimulus import random_job
from sw.run import command as run
from sw.studies.bench.case import Case, agree, measure
from sw.studies.bench.lookup import LookupBench
from tests.rtl.test_lookup import CONFIGS

# The engine of tests.rtl.test_lookup, so that it is built once.
CFG = CONFIGS["plain"]


@pytest.mark.parametrize("order", ["token-major", "table-major"])
def test_backends_give_the_same_bits(tmp_path, order):
    real = synthetic(CFG, 20)
    np.savez(tmp_path / "layer.npz", x=real.x, blocks=real.w, z_bias=real.z_bias,
             tables=real.tables, out_bias=real.out_bias)
    (tmp_path / "config.json").write_text(json.dumps(CFG.as_dict()))
    outputs, reports = {}, {}
    for backend in ("golden", "rtl"):
        out, report = tmp_path / f"{backend}.npz", tmp_path / f"{backend}.json"
        status = run.main(["lookup", str(tmp_path / "layer.npz"), "--backend", backend,
                           "-o", str(out), "--report", str(report), "--order", order,
                           "--config", str(tmp_path / "config.json")])
        assert status == 0
        outputs[backend], reports[backend] = dict(np.load(out)), json.loads(report.read_text())
    assert outputs["golden"].keys() == outputs["rtl"].keys() == {"y", "y_fixed", "codes"}
    for name, golden in outputs["golden"].items():
        np.testing.assert_array_equal(outputs["rtl"][name], golden, err_msg=name)
    golden, rtl = reports["golden"], reports["rtl"]
    assert rtl["cycles"].pop("source") != golden["cycles"].pop("source")
    assert rtl["cycles"] == golden["cycles"]
    assert len(rtl["saturations"]) == len(Saturation)
    for name in ("error", "wrong_rows", "saturations", "table_bytes", "config_hash"):
        assert rtl[name] == golden[name], name


@pytest.mark.parametrize("order", Order)
def test_bench_measures(order):
    job = random_job(CFG, np.random.default_rng(0), 64, order=order)
    measured = measure(LookupBench(), Case("small", CFG, *job), simulate=True)
    assert measured["equal"] is measured["as_modelled"] is True and agree([measured])
    assert 1 < measured["of_bound"] < 3 and 0 < measured["port_use"] < 1
    assert measured["cycles"] == round(measured["cycles_per_token"] * 64)
