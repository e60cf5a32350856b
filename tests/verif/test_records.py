"""What a simulation wrote is taken only when it is complete, wherever it was cut off."""

import pytest

from model.words import pack_fields
from verif.engine import Engine, EngineError, Script
from verif.runner import BENCHES

MANIFEST = {"streams": {"status": {"dir": "output", "width": 48}}, "ports": []}
RECORD = "reset 0\nstatus 10 12ab34cd\nprobe 11 ff\nend 12\n"


def engine(folder, record, status=0):
    """An engine whose simulation leaves this record and ends with this status."""
    program = folder / f"program-{len(list(folder.iterdir()))}"
    text = record.encode("unicode_escape").decode().replace("'", "")
    program.write_text(f"#!/bin/sh\nprintf '{text}' > \"$2\"\nexit {status}\n")
    program.chmod(0o755)
    return Engine(program, MANIFEST)


@pytest.mark.reliability
def test_every_cut_is_noticed(tmp_path, tried):
    for cut in range(len(RECORD)):
        with pytest.raises(EngineError, match="is cut off"):
            engine(tmp_path, RECORD[:cut]).run(Script())
    run = engine(tmp_path, RECORD).run(Script())
    assert (run.end, run.received["status"], run.resets) == (12, [0x12ab34cd], [0])
    tried("records", cuts=len(RECORD))


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
    import resource
    import subprocess
    if name == "cta":
        from verif.cta.driver import build
    else:
        from verif.lookup.driver import build
    from model.cta.config import CTAConfig
    from model.lookup.config import LookupConfig
    cfg = {"cta": CTAConfig(b=2, d=8, l=2, n=8),
           "lookup": LookupConfig(d=16, h=4, tau=3, block=4, multipliers=8, lanes=8,
                                  batch=3)}[name]
    assert BENCHES[name] and pack_fields
    script = tmp_path / "script"
    script.write_text("\n".join(Script().reset(1).push("load", *range(0, 20000, 16)).idle(30000)
                                .lines) + "\n")

    def limit():
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

    run = subprocess.run([build(cfg).binary, script, tmp_path / "result"], preexec_fn=limit,
                         text=True, capture_output=True)
    assert run.returncode == 3 and "cannot be written" in run.stderr, (run.returncode, run.stderr)
