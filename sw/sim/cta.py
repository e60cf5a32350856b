"""Driver of the whole accelerator: jobs in, results out, through ``sw.sim.engine``.

What a host's driver does: loads the operands, hands over the job word, takes outputs, cluster tables
and status. No value is computed here; everything returned has come out of the RTL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from model.cta import layout, linear_job
from model.cta.config import CTAConfig
from model.cta.job import ErrorCode, HeadResult, HeadWeights, Job, Saturation
from model.cta.layout import ELEMENT_WIDTH, Load, TraceOp
from model.cta.linear_job import LinearJob, LinearResult, LinearWeights
from sw.sim import engine
from sw.sim.engine import Run, Script, Simulator
from sw.sim.session import HostSession, Refused, accepted

__all__ = ["Activity", "Session", "Refused", "build", "run_job", "run_jobs"]

build = partial(engine.build, "cta")
"""The CTA engine of a configuration, compiled once and kept."""


@dataclass(frozen=True)
class Activity:
    """``unit`` was busy with ``what`` from cycle ``start`` to before ``end`` of the job."""

    unit: str
    what: str
    start: int
    end: int


class Session(HostSession):
    """A script in the making: every call queues what a host would do next."""

    STREAMS = ("load", "data", "job", "out", "status")
    LIMIT = 20_000_000

    def load(self, loads: Sequence[Load], wait: bool = True):
        """Queue loads and, with ``wait``, let them go in before anything else is queued."""
        for load in loads:
            values = {"target": load.target, "set": load.set, "base": load.base,
                      "rows": len(load.rows)}
            self._push("load", layout.pack_fields(layout.LOAD_FIELDS, values))
            self._push("data", *layout.beats(self.cfg, load))
        return self._wait("load", "data") if wait else self

    def job(self, weights: HeadWeights, job: Job, index: int = 0, reload: bool = True,
            wait: bool = True, reuse: bool = False, **fields):
        """Queue a job (with its operands if ``reload``); ``fields`` replace fields of its word.

        With ``reuse`` the clusters are those of the job before, and neither tokens nor hash functions are
        loaded. Without
        ``wait`` what is queued next goes in as soon as the job is taken.
        """
        if reload:
            self.load(layout.weight_loads(self.cfg, weights, index, lsh=not reuse)
                      + ([] if reuse else layout.token_loads(job)))
        self._push_job(layout.job_fields(weights, job, index, tables=True, reuse=reuse) | fields)
        return self.wait() if wait else self._wait("job")

    def linear(self, weights: LinearWeights, job: LinearJob, index: int = 0, reload: bool = True,
               wait: bool = True, reuse: bool = False, **fields):
        """Queue a linear job, as :meth:`job`; with ``reuse`` its rows are those of the job before."""
        if reload:
            self.load(linear_job.weight_loads(self.cfg, weights, index)
                      + ([] if reuse else linear_job.token_loads(job)))
        self._push_job(linear_job.job_fields(job, index, reuse) | fields)
        return self.wait() if wait else self._wait("job")

    def _push_job(self, values):
        self._push("job", layout.pack_fields(layout.JOB_FIELDS, values))
        self.jobs.append(values)
        self.sent["status"] += 1

    def wait(self):
        """Until every job so far has its status."""
        return self._wait("status")

    def results(self, run: Run) -> list:
        """Per job a :class:`HeadResult` or :class:`LinearResult`, or a :class:`Refused` in its place."""
        cfg, at, results, ct = self.cfg, 0, [], None
        elements = self._elements(run.received["out"])
        for values, word in zip(self.jobs, run.received["status"], strict=True):
            status = layout.unpack_fields(layout.STATUS_FIELDS, word)
            if status["error"]:
                results.append(Refused(ErrorCode(status["error"])))
                continue
            n, m = values["n"], values["m"]
            count = status["k0"] if values["clusters"] else m
            rows, tables = count * cfg.groups, max(n, m) if values["tables"] else 0
            o = elements[at:at + rows].reshape(count, cfg.d)
            phases = {"compress": status["cycles_compress"], "linear": status["cycles_linear"]}
            phases["attention"] = status["cycles"] - sum(phases.values())
            saturations = {kind: status[f"sat_{kind.name.lower()}"] for kind in Saturation}
            if values["linear"]:
                at += rows
                results.append(LinearResult(o, saturations, status["cycles"], status["held"], phases))
                continue
            if tables or not values["reuse"]:     # else those of the job before are these as well
                ct = elements[at + rows:at + rows + tables] & ((1 << ELEMENT_WIDTH) - 1)
            o = o[ct[:m, 0]] if values["clusters"] else o
            at += rows + tables
            results.append(HeadResult(
                o=o, ct0=ct[:m, 0], ct1=ct[:n, 1], ct2=ct[:n, 2],
                k0=status["k0"], k1=status["k1"], k2=status["k2"],
                saturations=saturations,
                overflow=tuple(status[f"overflow{c}"] for c in range(3)),
                zero_rows=status["zero_rows"], cycles=status["cycles"], held=status["held"],
                phases=phases))
        if at != len(elements):
            raise AssertionError(f"the RTL sent {len(elements)} beats, {at} were due")
        return results

    def _elements(self, beats):
        """Beats of ``out`` as rows of signed elements; the top bit of a beat is ``last``."""
        lanes = self.cfg.lanes
        raw = b"".join((beat & ((1 << lanes * ELEMENT_WIDTH) - 1))
                       .to_bytes(lanes * ELEMENT_WIDTH // 8, "little") for beat in beats)
        return np.frombuffer(raw, dtype="<i2").astype(np.int64).reshape(-1, lanes)


def run_jobs(cfg: CTAConfig, items: Sequence[tuple[HeadWeights, Job]], *, stalls: float = 0.0,
             seed: int = 1, progress: bool = False, engine: Simulator | None = None) -> list:
    """Run jobs back to back in one simulation; results as :meth:`Session.results`."""
    session = Session(cfg, Script(seed))
    if stalls:
        session.stall(stalls, seed)
    for weights, job in items:
        session.job(weights, job)
    return session.play(engine or build(cfg, progress=progress), progress)[1]


def run_job(cfg: CTAConfig, weights: HeadWeights, job: Job, *, stalls: float = 0.0, seed: int = 1,
            progress: bool = False, reuse: bool = False) -> HeadResult:
    """One head on the RTL, with ``reuse`` once more on the clusters it has left.

    Adds ``activity`` (what each unit did when) to the result. Raises :class:`Refused`.
    """
    session = Session(cfg, Script(seed))
    if stalls:
        session.stall(stalls, seed)
    session.job(weights, job)
    if reuse:
        session.job(weights, job, reload=False, reuse=True)
    run, results = session.play(build(cfg, progress=progress), progress)
    result = accepted(results)[-1]
    start = run.cycles["job"][-1] + 1     # its word was looked at for a cycle
    result.activity = activity(run, start, start + result.cycles)
    return result


def activity(run: Run, start: int, stop: int) -> list[Activity]:
    """What each unit was busy with in cycles ``start`` to ``stop``, from the RTL's probe.

    Units and work are named as in :class:`model.cta.cycles.Use`; an LSH is told from the next.
    """
    words, found, at = run.per_cycle(start, stop), [], 0
    values = {}
    for name, width in layout.TRACE_FIELDS:
        values[name] = (words >> at) & ((1 << width) - 1)
        at += width
    lsh = values.pop("lsh")
    for name, value in values.items():
        key = value + (value == TraceOp.HASH) * (lsh << 8) if name == "sa" else value
        edges = np.flatnonzero(np.diff(key, prepend=0, append=0))
        for first, last in zip(edges[:-1], edges[1:]):
            if value[first]:
                what = TraceOp(value[first]).name if name == "sa" else ""
                what += f" {lsh[first]}" if what == "HASH" else ""
                found.append(Activity(name if name == "drain" else name.upper(), what,
                                      int(first), int(last)))
    return found
