"""What the drivers of all engines share: a script in the making, its run, and a refusal.

The driver of the engine ``name`` is the module ``sw.sim.name``. It has ``build(cfg)``, a ``Session``,
``run_jobs(cfg, items)`` for pairs of weights and job, and ``run_job(cfg, weights, job)``.
"""

from enum import IntEnum
from typing import ClassVar

from sw.sim.engine import Run, Script, Simulator

__all__ = ["HostSession", "Refused", "accepted"]


class Refused(Exception):
    """The engine refused a job; ``code`` is its error code."""

    def __init__(self, code: IntEnum):
        super().__init__(f"the engine refused the job: {code.name}")
        self.code = code


def accepted(results: list) -> list:
    """The results, where no job was refused; raises :class:`Refused` where one was."""
    for result in results:
        if isinstance(result, Refused):
            raise result
    return results


class HostSession:
    """A script that counts what it sends, so that it can wait for it.

    ``STREAMS`` names the engine's streams, ``LIMIT`` is the most cycles a wait may take. ``jobs`` holds
    the fields of every job word. An engine adds ``load``, ``job`` and ``results``.
    """

    STREAMS: ClassVar[tuple[str, ...]]
    LIMIT: ClassVar[int]

    def __init__(self, cfg, script: Script | None = None):
        self.cfg, self.script = cfg, script or Script()
        self._sent, self._resets, self.jobs = {}, None, []
        self.script.limit(self.LIMIT)
        self.script.reset(1)

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that there are in this configuration."""
        return self.STREAMS

    def stall(self, probability: float, seed: int):
        """Pause every stream at random, the host's sides of it."""
        for at, stream in enumerate(self.STREAMS):
            if stream in self.streams:
                self.script.stall(stream, probability, 1 + at % 3, seed * 16 + at)
        return self

    def results(self, run: Run) -> list:
        """Per job its result, or a :class:`Refused` in its place."""
        raise NotImplementedError

    def play(self, engine: Simulator, progress: bool = False) -> tuple[Run, list]:
        """Run the script: what happened, and :meth:`results`, each with the ``rate`` of the simulation
        in cycles a second."""
        run = engine.run(self.script, progress=progress)
        results = self.results(run)
        for result in results:
            if not isinstance(result, Refused):
                result.rate = run.end / run.seconds
        return run, results

    def reset(self, after: int):
        """Let ``after`` cycles pass since the last push, then reset for one cycle; what is queued
        and what runs is lost."""
        self.script.idle(after)
        self.script.reset(1)
        return self

    @property
    def sent(self) -> dict[str, int]:
        """Transfers that are due by stream, since the last reset: waits count from there. The reset
        may have been queued here or through ``script``."""
        if self.script.resets != self._resets:
            self._sent, self._resets = dict.fromkeys(self.STREAMS, 0), self.script.resets
        return self._sent

    def _push(self, stream, *payloads):
        self.script.push(stream, *payloads)
        self.sent[stream] += len(payloads)

    def _wait(self, *streams):
        for stream in streams:
            self.script.wait(stream, self.sent[stream])
        return self

    def _wait_for_status(self):
        self.sent["status"] += 1
        return self._wait("status")
