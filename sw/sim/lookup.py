"""Driver of the LookupFFN engine: layers and tokens in, results out, through ``sw.sim.engine``.

What a host's driver does. No value is computed here; everything returned has come out of the RTL. The
table memory is the harness's: it answers the engine's requests from the bytes of the tables.
"""

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from model.lookup import layout
from model.lookup.config import LookupConfig
from model.lookup.job import ErrorCode, Job, LayerResult, LayerWeights, Saturation
from model.lookup.timing import TABLE_LATENCY
from model.words import pack_fields, unpack_fields
from sw.sim.engine import Engine, Run, Script, build_component
from sw.sim.session import HostSession, Refused

__all__ = ["Refused", "Session", "build", "run_jobs", "run_layer"]


@cache
def build(cfg: LookupConfig, progress: bool = False) -> Engine:
    """The LookupFFN engine of a configuration, compiled once and kept."""
    from gen.lookup.top import Lookup
    return build_component(Lookup(cfg), f"lookup-{cfg.digest}", progress=progress)


class Session(HostSession):
    """A script in the making: every call queues what a host would do next."""

    STREAMS = ("load", "data", "job", "x", "residual", "y", "status", "request", "response")
    LIMIT = 50_000_000

    def stall(self, probability: float, seed: int):
        """Pause every stream at random, the host's sides of it."""
        absent = {"residual"} if not self.cfg.residual else set()
        if self.cfg.tables == "internal":
            absent |= {"request", "response"}
        for at, stream in enumerate(self.STREAMS):
            if stream not in absent:
                self.script.stall(stream, probability, 1 + at % 3, seed * 16 + at)
        return self

    def memory(self, tables: np.ndarray, folder: Path, latency: int, jitter: int = 0, seed: int = 1):
        """Put ``tables`` behind the table port (nothing where they are internal)."""
        if self.cfg.tables == "external":
            size = -(-self.cfg.lanes // 4) * 4
            file = folder / f"tables-{len(list(folder.iterdir()))}.bin"
            with file.open("wb") as out:
                for beat in layout.table_beats(self.cfg, tables):
                    out.write(beat.to_bytes(size, "little"))
            self.script.memory("request", "response", file, latency, jitter, seed)
        return self

    def layer(self, weights: LayerWeights):
        """Queue a layer's loads and wait until they are in."""
        return self.load(layout.weight_loads(self.cfg, weights))

    def load(self, loads: Sequence[layout.Load], wait: bool = True):
        """Queue loads and, with ``wait``, let them go in before anything else is queued."""
        for load in loads:
            values = {"target": load.target, "base": load.base, "beats": len(load.beats)}
            self._push("load", pack_fields(layout.LOAD_FIELDS, values))
            self._push("data", *load.beats)
        return self._wait("load", "data") if wait else self

    def job(self, job: Job, wait: bool = True, **fields):
        """Queue a job and its tokens; ``fields`` replace fields of its word."""
        values = layout.job_fields(job) | fields
        self._push("job", pack_fields(layout.JOB_FIELDS, values))
        self.jobs.append(values)
        if values["tokens"]:
            self._push("x", *layout.token_beats(job.x))
            if job.residual is not None:
                self._push("residual", *layout.token_beats(job.residual))
        return self._wait_for_status() if wait else self

    def results(self, run: Run) -> list:
        """Per job a :class:`LayerResult` (without codes, which stay inside) or a :class:`Refused`."""
        beats, at, results = self.cfg.d // layout.HOST_LANES, 0, []
        size = layout.HOST_LANES * layout.ELEMENT_WIDTH // 8
        raw = b"".join(beat.to_bytes(size, "little") for beat in run.received["y"])
        y = np.frombuffer(raw, dtype="<i2").astype(np.int64)
        for values, word in zip(self.jobs, run.received["status"], strict=True):
            status = unpack_fields(layout.STATUS_FIELDS, word)
            if status["error"]:
                results.append(Refused(ErrorCode(status["error"])))
                continue
            count = values["tokens"] * beats * layout.HOST_LANES
            results.append(LayerResult(
                y=y[at:at + count].reshape(values["tokens"], self.cfg.d), codes=None,
                saturations={kind: status[f"sat_{kind.name.lower()}"] for kind in Saturation},
                table_bytes=status["table_bytes"], cycles=status["cycles"]))
            at += count
        if at != len(y):
            raise AssertionError(f"the RTL sent {len(y)} elements, {at} were due")
        return results


def run_jobs(cfg: LookupConfig, weights: LayerWeights, jobs: Sequence[Job], *, stalls: float = 0.0,
             seed: int = 1, latency: int = 10, jitter: int = 0, progress: bool = False) -> list:
    """Run jobs of one layer back to back in one simulation; results as :meth:`Session.results`."""
    engine = build(cfg, progress=progress)
    with tempfile.TemporaryDirectory(prefix="hashlayer-") as folder:
        session = Session(cfg, Script(seed))
        session.memory(weights.tables, Path(folder), latency, jitter, seed)
        if stalls:
            session.stall(stalls, seed)
        session.layer(weights)
        for job in jobs:
            session.job(job)
        run = engine.run(session.script, progress=progress)
        results = session.results(run)
    for result in results:
        if isinstance(result, LayerResult):
            result.rate = run.end / run.seconds
    return results


def run_layer(cfg: LookupConfig, weights: LayerWeights, job: Job, progress: bool = False,
              seed: int = 1, stalls: float = 0.0, latency: int = TABLE_LATENCY,
              jitter: int = 0) -> LayerResult:
    """One job on the RTL; ``rate`` is the simulated cycles a second. Raises :class:`Refused`."""
    result, = run_jobs(cfg, weights, [job], stalls=stalls, seed=seed, latency=latency,
                       jitter=jitter, progress=progress)
    if isinstance(result, Refused):
        raise result
    return result
