"""What a simulation wrote is taken only when it is complete, wherever it was cut off."""

import resource
import signal
import subprocess

import pytest

from model.cta.config import CTAConfig
from model.lookup.config import LookupConfig
from sw.sim.engine import EngineError, Script, Simulator

MANIFEST = {"streams": {"status": {"dir": "output", "width": 48}}, "ports": []}
RECORD = "reset 0\nstatus 10 12ab34cd\nprobe 11 ff\nend 12\n"


def _small(name):
    """A small engine of either kind, compiled."""
    if name == "cta":
        from sw.sim.cta import build
        return build(CTAConfig(b=2, d=8, l=2, n=8))
    from sw.sim.lookup import build
    return build(LookupConfig(d=16, h=4, tau=3, block=4, multipliers=8, lanes=8, batch=3))


def engine(folder, record, status=0):
    """An engine whose simulation leaves this record and ends with this status."""
    program = folder / f"program-{len(list(folder.iterdir()))}"
    text = record.encode("unicode_escape").decode().replace("'", "")
    program.write_text(f"#!/bin/sh\nprintf '{text}' > \"$2\"\nexit {status}\n")
    program.chmod(0o755)
    return Simulator(program, MANIFEST)


@pytest.mark.reliability
def test_every_cut_is_noticed(tmp_path, tried):
    for cut in range(len(RECORD)):
        with pytest.raises(EngineError, match="is cut off"):
            engine(tmp_path, RECORD[:cut]).run(Script())
    run = engine(tmp_path, RECORD).run(Script())
    assert (run.end, run.received["status"], run.resets) == (12, [0x12ab34cd], [0])
    tried("records", cuts=len(RECORD))


@pytest.mark.reliability
@pytest.mark.parametrize("name", ["cta", "lookup"])
def test_every_cut_of_an_engine_s_record_is_noticed(name, tmp_path, tried):
    """The same for what the harness of either engine has really written."""
    engine, script = _small(name), tmp_path / "script"
    script.write_text("\n".join(Script().reset(1).push("load", 0).idle(40).lines) + "\n")
    result = tmp_path / "result"
    subprocess.run([engine.binary, script, result], check=True, stdout=subprocess.DEVNULL)
    whole = result.read_bytes()
    assert engine._read(result, 0, "").end == 41
    for cut in range(len(whole)):
        result.write_bytes(whole[:cut])
        with pytest.raises(EngineError, match="is cut off"):
            engine._read(result, 0, "")
    assert len(whole) > 20
    tried("records", cuts=len(whole))


@pytest.mark.parametrize("status", [1, 3, 137])
def test_a_status_that_is_not_zero_is_noticed(tmp_path, status):
    with pytest.raises(EngineError, match=f"ended with status {status}"):
        engine(tmp_path, RECORD, status).run(Script())


@pytest.mark.parametrize("record", ["status x 1\nend 3\n", "status 1 zz\nend 3\n", "end\n",
                                    "end 1\nend\n"])
def test_a_malformed_record_is_noticed(tmp_path, record):
    with pytest.raises(EngineError, match="is malformed"):
        engine(tmp_path, record).run(Script())


@pytest.mark.parametrize("name", ["cta", "lookup"])
def test_a_full_disk_ends_the_harness(name, tmp_path):
    """The harness itself checks its writes: with no room for the record, its status says so."""
    script = tmp_path / "script"
    script.write_text("\n".join(Script().reset(1).push("load", *range(0, 20000, 16)).idle(30000)
                                .lines) + "\n")

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

    run = subprocess.run([_small(name).binary, script, tmp_path / "result"], preexec_fn=limit,
                         text=True, capture_output=True)
    assert run.returncode == 3 and "cannot be written" in run.stderr, (run.returncode, run.stderr)
