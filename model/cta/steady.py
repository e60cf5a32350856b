"""The steady part of a walk: turns of a loop that are as the one before, taken at once.

From the third or so on, batches and groups follow each other alike: whatever is waited for is as far away
as a turn ago. The walk of :mod:`model.cta.cycles` then goes on at the second last turn of the loop, with
everything moved by as many turns. What it gives is the same to the last use, in a fraction of the time.
"""

from functools import cache

from model.cta.schedule import Loop, Row, Step

__all__ = ["Steady", "starts"]

LOOPS = (Loop.KEY, Loop.QUERY, Loop.GROUP)


@cache
def _starts(rows: tuple[tuple[str | None, Loop], ...]) -> dict[str, Loop]:
    return {again: loop for again, loop in rows if loop in LOOPS}


def starts(rows: tuple[Row, ...]) -> dict[str, Loop]:
    """The rows to which loops over batches and groups return, and the loop of each."""
    return _starts(tuple((row.again, row.loop) for row in rows))


class Steady:
    """Looks at a walk whenever a turn of a loop begins.

    Parameters
    ----------
    run : the walk; its state is moved.
    sizes : how often its loops run.
    """

    def __init__(self, run, sizes):
        self.run, self.sizes = run, sizes
        self.starts = starts(run.cfg.program.rows)
        self.before = {}                # by row what was seen when its turn began

    def begins(self, step: Step) -> bool:
        """Whether a turn of a loop begins with a step."""
        return step.part == step.turn == 0 and step.row.name in self.starts

    def skip(self, step: Step, free: int, moved: int, since: int, *more):
        """Cycles by which the walk is moved, and the turns that are left out, as the walk is told of them;
        0 and None where it is not steady.

        ``free``, ``moved`` and ``since`` are cycles of the walk as there, ``more`` what else it goes on from.
        """
        run, result, name = self.run, self.run.result, step.row.name
        loop = self.starts[name]
        at = step.group if loop is Loop.GROUP else step.batch
        state = (*more, tuple(run.first), *self._ahead(at, free, moved, since))
        sums = result.losses, result.macs, result.slots
        now = (at, free, len(result.uses), [dict(each) for each in sums])
        known, self.before[name] = self.before.get(name), (state, now)
        if known is None or known[0] != state:
            return 0, None
        last, cycle, uses, before = known[1]
        step_at = at - last
        total = {Loop.KEY: self.sizes.keys, Loop.QUERY: self.sizes.queries,
                 Loop.GROUP: self.sizes.groups}[loop]
        # The last turn may be of a batch that is not full, and the one before it is walked for good measure.
        turns = (total - 2 * step_at - at) // step_at if step_at > 0 else 0
        if turns <= 0:
            return 0, None
        period, shift = free - cycle, turns * (free - cycle)
        for all_of, then, earlier in zip(sums, now[3], before):
            for name_of, value in then.items():
                all_of[name_of] += turns * (value - earlier.get(name_of, 0))
        if run.uses:
            self._repeat(uses, turns, period, step_at)
        self._move(at, turns * step_at, shift)
        del self.before[name]
        return shift, (loop, turns * step_at)

    def _repeat(self, first: int, turns: int, period: int, step_at: int) -> None:
        """The uses from number ``first`` on as many times more, later and of later batches."""
        uses = self.run.result.uses
        turn, kind = uses[first:], type(uses[0])
        # A use of a batch says which in its last word, `AP 3`; that of a clustering has its own number.
        numbered = [(at, *use.what.split(" ")) for at, use in enumerate(turn)
                    if use.what.startswith(("AP ", "O "))]
        for number in range(1, turns + 1):
            later = number * period
            more = [kind(unit, what, start + later, end + later, share)
                    for unit, what, start, end, share in turn]
            for at, word, batch in numbered:
                more[at] = more[at]._replace(what=f"{word} {int(batch) + number * step_at}")
            uses += more

    def _ahead(self, at, free, moved, since) -> tuple:
        """What the walk goes on from, as distances. What is not after ``moved`` is over: nothing can be taken
        before it, so how long it is over makes no difference."""
        run, b = self.run, self.run.cfg.b

        def away(cycle):
            return max(cycle, moved) - free
        done = tuple(away(run.ap_done[batch]) if batch in run.ap_done else None for batch in (at - 1, at - 2))
        return (moved - free, max(since, moved - b) - free, away(run.pag_free), done,
                tuple((wait, away(cycle)) for wait, cycle in sorted(run.ready.items())),
                tuple(map(away, run.ap_free)),
                tuple((batch - at * b, away(end)) for batch, end in run.scored))

    def _move(self, at: int, batches: int, shift: int) -> None:
        """Move the state of the walk by so many batches or groups, and cycles."""
        run = self.run
        run.ready = {wait: cycle + shift for wait, cycle in run.ready.items()}
        run.ap_free = [cycle + shift for cycle in run.ap_free]
        run.pag_free += shift
        run.scored = [(batch + batches * run.cfg.b, end + shift) for batch, end in run.scored]
        for batch in (at - 1, at - 2):
            if batch in run.ap_done:
                run.ap_done[batch + batches] = run.ap_done[batch] + shift

