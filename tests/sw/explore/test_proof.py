import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from model.cta.job import Mode
from sw.explore import proof
from sw.explore.evaluation import evaluate
from sw.explore.proof import spread, synthesised, verified
from sw.explore.space import space
from tests.sw.explore.made import small
from tests.sw.explore.test_lookup import DATA as LOOKUP

# The engine is one of tests/sw/exported as well, so that it is built once.
TINY = {"hardware": {"b": 4, "l": 3, "n": 16},
        "workloads": [{"name": "tiny", "d": 8, "n": 16, "heads": 2, "clusters": [9, 7, 3]}]}


def test_spread():
    assert [spread([0] * 7, count) for count in (1, 2, 3, 7, 99)] == [
        [0], [0, 6], [0, 3, 6], list(range(7)), list(range(7))]
    assert spread([], 3) == []


def test_a_design_is_built_and_equal_to_the_models():
    pytest.importorskip("amaranth", reason="the rtl extra is not installed")
    point = space(TINY).at(0)
    found = verified((point, evaluate(point)), 4)
    assert found["verified"] is True and found["equal golden"] is True and found["design"] == 4
    assert found["cycles of a job"] == found["by the model"]


def test_the_job_is_that_of_the_point():
    """Cluster counts and mode of the row, with the cycles that the row is made of."""
    from sw.explore import cta
    for data in (TINY, {**TINY, "workloads": [{"name": "tiny", "d": 8, "n": 16, "point": "exact"}]}):
        point = space(data).at(0)
        cfg = cta.configuration(point)
        weights, job = proof._job(point, cfg, 0)
        expected = proof.RUNNABLE["cta"].run(cfg, weights, job)
        sizes = data["workloads"][0].get("clusters")
        assert len(job.xkv) == 16 and job.mode is (Mode.CTA if sizes else Mode.EXACT)
        assert [expected.k0, expected.k1, expected.k2] == (sizes or [16, 16, 0])
        head = cta._head(cta._Config(cfg), 16, tuple(sizes) if sizes else None, False)
        assert head.total == expected.cycles


def test_lookup_has_a_job():
    point = space(LOOKUP).at(0)
    from sw.explore import lookup
    cfg = lookup.configuration(point)
    weights, job = proof._job(point, cfg, 0)
    assert len(job.x) == 4 and proof.RUNNABLE["lookup"].run(cfg, weights, job).cycles > 0


def test_a_difference_is_told(monkeypatch):
    """Bits or cycles that are others are no proof, and what cannot be built has its reason."""
    point, engine = space(TINY).at(0), proof.RUNNABLE["cta"]

    class Wrong:
        def build(self, cfg):
            pass

        def run(self, cfg, weights, job, backend="golden"):
            result = engine.run(cfg, weights, job)
            if backend == "rtl":
                result = self.change(result)
            return result

        differences = staticmethod(engine.differences)
    wrong = Wrong()
    monkeypatch.setitem(proof.RUNNABLE, "cta", wrong)
    wrong.change = lambda result: replace(result, cycles=result.cycles + 1)
    found = verified((point, {}), 1)
    assert (found["verified"], found["equal golden"]) == (False, True)
    wrong.change = lambda result: replace(result, o=result.o + 1)
    assert (verified((point, {}), 1)["verified"], verified((point, {}), 1)["equal golden"]) == (False, False)
    found = verified((small(hardware={"b": 5}).at(0), {}), 1)
    assert found["verified"] is False and found["error"].startswith("b is 5, must be one of")


def test_synthesis_is_asked_for_the_design(monkeypatch):
    """By the command that a user has, whose figures are taken as they are."""
    point, asked = space(TINY).at(0), {}

    def run(words, **_):
        words = [str(word) for word in words]
        asked.update(words=words, config=json.loads(Path(words[words.index("--config") + 1]).read_text()))
        Path(words[words.index("--json") + 1]).write_text('{"chip_um2": 250000.0, "fmax_mhz": 812.0}')
        return subprocess.CompletedProcess(words, 0, "", "")
    monkeypatch.setattr(subprocess, "run", run)
    found = synthesised((point, {"area_mm2": 0.26}), 3)
    assert found == {"design": 3, "synthesised": True, "mm2": 0.25, "mm2 by the model": 0.26, "MHz": 812.0}
    assert asked["words"][1:4] == ["-m", "synth", "cta"] and "45nm" in asked["words"]
    assert (asked["config"]["b"], asked["config"]["d"], asked["config"]["n"]) == (4, 8, 16)


def test_a_synthesis_that_fails_has_its_reason(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda words, **_: subprocess.CompletedProcess(
        words, 2, "", "one\nsynth: no yosys is here\n"))
    assert synthesised((space(TINY).at(0), {"area_mm2": 1}), 1) == {
        "design": 1, "synthesised": False, "error": "synth: no yosys is here"}


@pytest.mark.nightly
def test_a_design_is_synthesised():
    point = space(TINY).at(0)
    found = synthesised((point, evaluate(point)), 1)
    assert found["synthesised"] and 0 < found["mm2"] < 1 and found["MHz"] > 100
