"""A third engine: its packages, a line of gen.engines and a line of sw.sim.engines, and all works on it."""

import json
import sys
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from docs.site import parameters
from gen import __main__ as emit
from gen.command import Command
from gen.engines import ENGINES as GENERATORS
from model import quantised
from model.border import Borders
from model.config import EngineConfig, Parameter
from model.fixed import Format
from sw.run.pipeline import BACKENDS, Prepared, execute, report
from sw.sim import engine as compiled
from sw.sim import lint
from sw.sim.engines import ENGINES, Engine
from sw.sim.session import HostSession, Refused, accepted
from sw.studies.bench import __main__ as bench_command
from sw.studies.bench.case import Bench, Case, verdicts
from verif.bench import Bench as BlockBench


@dataclass(frozen=True)
class Formats:
    output: Format = Format(True, 16, 8)


@dataclass(frozen=True)
class OffsetConfig(EngineConfig):
    """An engine that adds ``step`` to everything."""

    step: int = 1
    fmt: Formats = Formats()

    PARAMETERS = {"step": Parameter("what is added to every number", "1..7", "1")}
    FORMATS, BUILDABLE, CONSTANTS, WORDS = Formats, {}, {}, ()

    def __post_init__(self):
        self._check_integers("step")
        self._check("step", 1 <= self.step <= 7, "in 1..7")


class Offset(wiring.Component):
    """Gives back every number plus ``step``, a cycle later."""

    module_name = "offset"

    def __init__(self, cfg):
        self.cfg = cfg
        super().__init__({"i": In(stream.Signature(16)), "o": Out(stream.Signature(16))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload + self.cfg.step)]
        return m


@dataclass
class Result:
    y: list
    saturations: dict = field(default_factory=dict)
    cycles: int = 0
    phases: dict = field(default_factory=dict)


class Quantised(quantised.Quantised):
    OUTPUT = "y"


@dataclass(frozen=True)
class Points:
    y: int = 8


@dataclass
class Cycles:
    total: int
    phases: dict = field(default_factory=dict)


class Session(HostSession):
    STREAMS, LIMIT = ("i", "o"), 1000

    def job(self, job):
        self._push("i", *(value & 0xFFFF for value in job))
        self.sent["o"] += len(job)
        self.jobs.append(job)
        return self._wait("o")

    def results(self, run):
        assert len(self.jobs) == 1
        y = [(value ^ 0x8000) - 0x8000 for value in run.received["o"]]
        return [Result(y, cycles=run.cycles["o"][-1] - run.cycles["i"][0])]


def quantise(cfg, real):
    borders = Borders()
    return Quantised(None, borders.quantise("x", cfg.fmt.output, real, 8).tolist(), Points(), borders)


def golden(cfg, weights, job):
    return Result([value + cfg.step for value in job])


def cycles(cfg, weights, job, result):
    return Cycles(len(job))


OFFSET = Engine("offset", OffsetConfig, quantise, golden, cycles, Result, ("y",))


class PreparedOffset(Prepared):
    ENGINE = OFFSET

    def in_double(self):
        return self.real + self.cfg.step / 256, {}

    def figures(self, outcome, backend):
        return {"numbers": len(self.real)}


class OffsetBench(Bench):
    ENGINE = OFFSET

    def cases(self, seed):
        return [Case("short", OffsetConfig(), None, [seed]), Case("long", OffsetConfig(), None, [1] * 9)]

    def title(self, source):
        return f"offsets, {source}"

    def figures(self, case, result):
        return {"numbers": len(case.job)}

    def show(self, rows):
        print(verdicts(None))
        for row in rows:
            print(row["name"] + verdicts(row))


@pytest.fixture
def offset(monkeypatch):
    """The engine, as if its packages and its two lines were there."""
    driver = ModuleType("sw.sim.offset")

    def run_job(cfg, weights, job, progress=False):
        session = Session(cfg).job(job)
        return accepted(session.play(driver.build(cfg), progress)[1])[0]

    driver.build, driver.Refused, driver.run_job = partial(compiled.build, "offset"), Refused, run_job
    monkeypatch.setitem(sys.modules, "sw.sim.offset", driver)
    monkeypatch.setitem(ENGINES, "offset", OFFSET)
    monkeypatch.setitem(GENERATORS, "offset", Command(
        program="python -m gen.offset", what="an adder", config=OffsetConfig, component=Offset,
        always=("step",), fields={}, codes={}))
    monkeypatch.setitem(bench_command.BENCHES, "offset", OffsetBench())


def test_it_is_emitted_linted_and_described(offset, tmp_path, capsys):
    file = tmp_path / "offset.json"
    assert emit.main(["offset", "--step", "3", "-o", str(tmp_path / "o.v"), "--manifest", str(file)]) == 0
    assert "python -m gen.offset --step 3" in (tmp_path / "o.v").read_text()
    assert json.loads(file.read_text())["config"]["step"] == 3
    assert emit.main(["offset", "--step", "8"]) == 2
    assert capsys.readouterr().err == "gen.offset: step is 8, must be in 1..7\n"
    assert lint.main(["offset", "--step", "2"]) == 0
    assert capsys.readouterr().out.startswith("gen.offset --step 2: clean")
    assert "| `step` | what is added to every number | 1..7 | 1 |" in parameters.page()
    assert BlockBench("none", Offset, engine="offset").configuration({"step": 4}).step == 4


def test_it_runs_on_every_backend(offset):
    cfg, real = OffsetConfig(step=5), np.array([0.25, -0.5])
    prepared = PreparedOffset(cfg, real, quantise(cfg, real))
    found = {backend: execute(prepared, backend) for backend in BACKENDS}
    for backend, outcome in found.items():
        data = report(prepared, outcome, backend)
        np.testing.assert_array_equal(outcome.output, real + 5 / 256)
        assert data["numbers"] == data["cycles"]["total"] == 2
        assert data["cycles"]["source"] == ("rtl" if backend == "rtl" else "cycle model")
    assert OFFSET.differences(found["rtl"].result, found["golden"].result) == []
    assert OFFSET.differences(found["rtl"].result, Result([0, 0])) == ["y"]


def test_it_is_measured(offset, capsys, tmp_path, monkeypatch):
    """And a cycle model that is wrong by one ends in status 1."""
    monkeypatch.setattr(bench_command, "show_speed", lambda data, generator, cfg: None)
    assert bench_command.main(["offset", "--report", str(tmp_path / "r.json")]) == 0
    assert capsys.readouterr().out.count("yes") == 4
    assert [row["cycles"] for row in json.loads((tmp_path / "r.json").read_text())["jobs"]] == [1, 9]
    monkeypatch.setattr(OffsetBench, "ENGINE", Engine(
        "offset", OffsetConfig, quantise, golden, lambda *_: Cycles(9), Result, ("y",)))
    assert bench_command.main(["offset"]) == 1
    said = capsys.readouterr()
    assert said.out.count("NO") == 1 and "differs" in said.err


def test_every_engine_has_all_its_parts():
    for name, engine in ENGINES.items():
        driver = engine.driver
        assert engine.name == name and engine.generator.config is engine.config
        assert all(hasattr(driver, part) for part in ("build", "run_job", "run_jobs", "Session", "Refused"))
        assert issubclass(driver.Session, HostSession)
    assert list(GENERATORS) == list(ENGINES) == list(bench_command.BENCHES)


def test_a_backend_that_there_is_not(offset):
    with pytest.raises(ValueError, match="backend is 'float', must be one of golden, cpu, rtl"):
        OFFSET.run(OffsetConfig(), None, [1], "float")
    assert OFFSET.run(OffsetConfig(), None, [1], "cpu").y == [2]
    assert OFFSET.no_kernel(OffsetConfig()) == "there is none for this engine"
