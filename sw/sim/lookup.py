"""Driver of the LookupFFN engine: layers and tokens in, results out, through ``sw.sim.engine``.

What a host's driver does. No value is computed here; everything returned has come out of the RTL. The
table memory is the harness's: it answers the engine's requests from the bytes of the tables.
"""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from model.lookup import layout
from model.lookup.config import LookupConfig
from model.lookup.job import ErrorCode, Job, LayerResult, LayerWeights, Saturation
from model.lookup.timing import TABLE_LATENCY
from model.words import pack_fields, unpack_fields
from sw.sim import engine
from sw.sim.engine import Run, Script, Simulator
from sw.sim.session import HostSession, Refused, accepted

__all__ = ["Refused", "Session", "build", "run_job", "run_jobs"]

build = partial(engine.build, "lookup")
"""The LookupFFN engine of a configuration, compiled once and kept."""


class Session(HostSession):
    """A script in the making: every call queues what a host would do next."""

    STREAMS = ("load", "data", "job", "x", "residual", "y", "status", "request", "response")
    LIMIT = 50_000_000

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that there are in this configuration."""
        absent = {"residual"} if not self.cfg.residual else set()
        if self.cfg.tables == "internal":
            absent |= {"request", "response"}
        return tuple(stream for stream in self.STREAMS if stream not in absent)

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


def run_jobs(cfg: LookupConfig, items: Sequence[tuple[LayerWeights, Job]], *, stalls: float = 0.0,
             seed: int = 1, latency: int = TABLE_LATENCY, jitter: int = 0,
             progress: bool = False, engine: Simulator | None = None) -> list:
    """Run jobs back to back in one simulation; results as :meth:`Session.results`.

    Weights are loaded where they are others than those of the job before. The table memory answers
    after ``latency`` to ``latency + jitter`` cycles.
    """
    loaded = None
    with tempfile.TemporaryDirectory(prefix="hashlayer-") as folder:
        session = Session(cfg, Script(seed))
        for weights, job in items:
            if weights is not loaded:
                session.memory(weights.tables, Path(folder), latency, jitter, seed)
                if stalls and loaded is None:
                    session.stall(stalls, seed)
                session.layer(weights)
                loaded = weights
            session.job(job)
        return session.play(engine or build(cfg, progress=progress), progress)[1]


def run_job(cfg: LookupConfig, weights: LayerWeights, job: Job, **how) -> LayerResult:
    """One job on the RTL; ``how`` as for :func:`run_jobs`. Raises :class:`Refused`."""
    return accepted(run_jobs(cfg, [(weights, job)], **how))[0]
