"""``hashlayer energy``: the linear model on reports that are made up, and its refusals."""

import json

import pytest

from synth import energy_fit


def report(path, score, out, cycles=(10, 20), technology="45nm", engine="cta"):
    """A report of a job that takes so many pJ in two phases."""
    phases = [{"name": "before", "cycles": 99, "pj": 1e6}] + [
        {"name": name, "cycles": count, "pj": pj} for name, count, pj in
        zip(("score", "out"), cycles, (score, out))]
    path.write_text(json.dumps({"engine": engine, "config_hash": "abc", "technology": {"name": technology},
                                "energy": {"phases": phases, "job_pj": score + out,
                                           "job_cycles": sum(cycles)}}))
    return str(path)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(energy_fit, "DATA", tmp_path / "energy.json")
    return tmp_path / "energy.json"


def test_a_phase_takes_what_it_took_on_the_whole(data, tmp_path, capsys):
    jobs = [report(tmp_path / "a.json", 1000, 4000), report(tmp_path / "b.json", 3000, 4000, (30, 20))]
    held = report(tmp_path / "c.json", 500, 2200, (5, 10))
    assert energy_fit.main([held, "--fit", *jobs]) == 0
    assert json.loads(data.read_text())["pj_a_cycle"] == {"score": 100, "out": 200}
    assert capsys.readouterr().out.splitlines()[-1].split() == ["c", "15", "2.7", "2.5", "-7.4%"]
    assert energy_fit.main([jobs[0]]) == 0 and "+0.0%" in capsys.readouterr().out


def test_refusals(data, tmp_path, capsys):
    good = report(tmp_path / "a.json", 1, 1)
    other = report(tmp_path / "b.json", 1, 1, technology="40nm")
    (tmp_path / "no.json").write_text("{}")
    for words, message in (([str(tmp_path / "no.json")], "is no report of `hashlayer synth --activity`"),
                           ([good, other], "b is of abc in 40nm, must be of abc in 45nm"),
                           ([other, "--fit", other], "technology is 40nm, must be 45nm for a fit")):
        assert energy_fit.main(words) == 2
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1 and not data.exists()
