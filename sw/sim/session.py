"""What the drivers of both engines share: a script in the making, and a refusal."""

from enum import IntEnum
from typing import ClassVar

from sw.sim.engine import Script

__all__ = ["HostSession", "Refused"]


class Refused(Exception):
    """The engine refused a job; ``code`` is its error code."""

    def __init__(self, code: IntEnum):
        super().__init__(f"the engine refused the job: {code.name}")
        self.code = code


class HostSession:
    """A script that counts what it sends, so that it can wait for it.

    ``STREAMS`` names the engine's streams, ``LIMIT`` is the most cycles a wait may take. ``jobs`` holds
    the fields of every job word.
    """

    STREAMS: ClassVar[tuple[str, ...]]
    LIMIT: ClassVar[int]

    def __init__(self, cfg, script: Script | None = None):
        self.cfg, self.script = cfg, script or Script()
        self._sent, self._resets, self.jobs = {}, None, []
        self.script.limit(self.LIMIT)
        self.script.reset(1)

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
