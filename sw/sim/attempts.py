"""A run cut at its resets: what happened between two of them, as a run of its own."""

import bisect

from sw.sim.engine import Run

__all__ = ["attempts"]


def attempts(run: Run) -> list[Run]:
    """The parts of ``run``, one a reset, without probes; cycles count from the start of ``run``.

    A part begins with the first cycle of its reset. What came before the first reset is left out.
    """
    ends = [*run.resets[1:], run.end]
    parts = []
    for start, end in zip(run.resets, ends, strict=True):
        part = Run(end=end, resets=[start])
        for name, at in run.cycles.items():
            first, last = bisect.bisect_left(at, start), bisect.bisect_left(at, end)
            part.cycles[name] = at[first:last]
            if name in run.received:
                part.received[name] = run.received[name][first:last]
        parts.append(part)
    return parts
