"""Cycle model: what the schedule costs, exactly, from sizes alone.

Walks the same program as ``gen.cta.schedule`` builds, with the latencies of ``model.cta.timing``. The RTL's
cycle count equals :func:`head_cycles` in every run of the tests. Cycle 0 is the one in which the job
is taken; the count goes to the last O in its bank.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from model.cta.config import CTAConfig
from model.cta.job import LSH, HeadResult, HeadWeights, Job, Mode
from model.cta.schedule import PHASES, Op, Sizes, Step, Wait
from model.cta.steady import Steady
from model.cta.timing import (
    HASH_STAGES,
    SCORE_STAGES,
    CagTimes,
    ap_clear_delay,
    ap_latency,
    cag_times,
    cim_latency,
    cs_latency,
    drain_guard,
    issue_delay,
    least_stream,
    load_slots,
    pag_cycles,
    query_guard,
    shortcut_pause,
    tail,
    top_latency,
    value_guard,
)

__all__ = ["Use", "HeadCycles", "head_cycles", "job_cycles", "sizes"]

FIRST_TAKE = 2     # job taken in 0, checked in 1, the first row at hand in 2


class Use(NamedTuple):
    """``unit`` works on ``what`` from cycle ``start`` to before cycle ``end``.

    The unit ``lost`` is the multiplier slots that form nothing useful, ``what`` the cause and ``share`` their
    part of all slots in these cycles.
    """

    unit: str
    what: str
    start: int
    end: int
    share: float = 1.0


@dataclass
class HeadCycles:
    """``total`` cycles of a job, ``phases`` that add up to it, and the ``uses`` of every unit.

    A phase but the first begins with the first slot of the operation that the program names, so that
    in Table I ``compress`` ends with the first slot of K and ``linear`` with that of Q. ``macs`` counts
    the useful multiplier slots of the array by phase: products of live data, the borrowed columns'
    left out. ``slots`` has the cycles of each operation of the array, in lower case, with ``load`` and
    ``pause``. ``losses`` has the cycles in which none is formed, by cause, and columns that are idle as
    the cycles that they would fill; with the useful ones they add up to ``total``.
    """

    total: int = 0
    phases: dict = field(default_factory=dict)
    macs: dict = field(default_factory=dict)
    slots: dict = field(default_factory=dict)
    losses: dict = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)


def head_cycles(cfg: CTAConfig, n: int, m: int, k0: int, k1: int, k2: int,
                mode: Mode = Mode.CTA, shared_a: bool = False,
                reuse: bool = False, held: int = 0, cross: bool | None = None,
                uses: bool = True, linear: bool = False) -> HeadCycles:
    """Cycles of a job with ``n`` keys, ``m`` queries and the given numbers of clusters.

    In exact mode k0 = m, k1 = n and k2 = 0, whatever is given. ``reuse``: the clusters are those of
    the job before, so that the program begins behind the clustering. ``held``: cycles that its first
    outputs waited for those of the job before, as the engine reports them. ``cross``: the queries are
    other tokens, which lie behind the keys; where it is not said, they are if ``m`` is not ``n``. Without
    ``uses`` the result has none, and is there sooner. ``linear``: a linear job of ``n`` rows, in exact mode.
    """
    if mode is Mode.EXACT:
        k0, k1, k2 = m, n, 0
    cross = m != n if cross is None else cross
    return _Run(cfg, n, m, k0, k1, k2, mode, shared_a, reuse, held, n if cross else 0, uses,
                linear).result


def job_cycles(cfg: CTAConfig, weights: HeadWeights, job: Job, result: HeadResult, *,
               reuse: bool = False) -> HeadCycles:
    """Cycles of ``job``, whose ``result`` has the numbers of clusters."""
    n = len(job.xkv)
    m = n if job.xq is None else len(job.xq)
    return head_cycles(cfg, n, m, result.k0, result.k1, result.k2, job.mode, weights.shared_a, reuse,
                       result.held, job.xq is not None)


def sizes(cfg: CTAConfig, k0: int, k: int) -> Sizes:
    """How often the loops of a job with ``k0`` queries and ``k`` keys run.

    Where weights stay, two groups go in turn if the stream of one is over before its partial sums are
    back.
    """
    groups = -(-cfg.d // cfg.b)
    in_turn = frozenset(op for op, rows in ((Op.K, k), (Op.V, k), (Op.Q, k0))
                        if cfg.linear_parts > 1 and groups > 1 and rows < least_stream(cfg))
    return Sizes(cfg.slices, cfg.passes, -(-k // cfg.b), -(-k0 // cfg.b), groups, in_turn)


@cache
def _waits(wait: Wait) -> tuple[tuple[str, Wait], ...]:
    """Each thing that is waited for, and what the loss is called. A search prices thousands of walks, and
    members of a flag are slow to tell."""
    return tuple((f"wait for {one.name.lower()}", one) for one in Wait if one and one in wait)


class _Run:
    """One walk through the program."""

    def __init__(self, cfg, n, m, k0, k1, k2, mode, shared_a, reuse, held, first_query, uses=True,
                 linear=False):
        self.cfg, self.n, self.m, self.mode = cfg, n, m, mode
        self.k0, self.k1, self.k = k0, k1, k1 + k2
        self.sizes = (k0, k1, k2)
        self.order = cfg.program.clusterings()
        self.kept = shared_a and cfg.slices == 1 and cfg.passes == 1
        self.result = HeadCycles(macs=dict.fromkeys(PHASES, 0))
        self.ready = {Wait.DRAIN: 0}
        self.reuse, self.held, self.first_query, self.uses = reuse, held, first_query, uses
        self.cag: list[CagTimes] = []
        self.scored = []         # (batch, cycle of its last score) that PAG has not taken
        self.ap_free = [0] * cfg.aps     # cycles from which a bank of AP that is not in use may be written
        self.pag_free, self.ap_done = 0, {}
        self.first = {}      # cycle of the first slot of an op
        self.written = False     # whether a row has been taken that writes to the bank of O
        self.linear, self.begins = linear, (Op.Q,) if linear else cfg.program.phases
        if reuse or mode is Mode.EXACT:
            self.ready[Wait.CENTROIDS] = 0
        last = self._walk()
        total = last + 1 + tail(cfg) - 1
        self._lose("start and end", FIRST_TAKE, 1 + FIRST_TAKE)
        self._lose("start and end", tail(cfg), total + 1)
        begins = [1, *(self.first[op] for op in self.begins), total + 1, total + 1][:len(PHASES) + 1]
        self.result.total = total
        self.result.phases = {name: after - at
                              for name, at, after in zip(PHASES, begins, begins[1:])}

    def _walk(self):
        """Rows in order; returns the cycle of the last slot."""
        cfg = self.cfg
        # The last slot of the row before, the cycle in which it moved from its load to its stream,
        # whether it had a load, and the first slot of the values in use.
        free, moved, loaded, since, before = FIRST_TAKE, FIRST_TAKE, True, -cfg.b, None
        outputs = Op.Q if cfg.program.weights_stay else Op.OUT    # what writes to the bank of O first
        steady = Steady(self, sizes(cfg, self.k0, self.k))
        steps = cfg.program.walk(self.mode, steady.sizes, self.reuse, self.linear)
        for step in steps:
            if steady.begins(step):
                shift, turns = steady.skip(step, free, moved, since, loaded, before)
                free, moved, since = free + shift, moved + shift, since + shift
                step = steps.send(turns) if turns else step
            row = step.row
            self.ready[Wait.PROBABILITY] = self.ap_done.get(step.batch, 0)
            waits = {name: self.ready[one] for name, one in _waits(row.wait)}
            loads = row.load and not (self.kept and row.kept)
            # A row that loads is taken when the one before it has moved on, others when that has ended.
            at_hand = moved + (not loaded) if loads and cfg.ahead else free
            take = max([at_hand, *waits.values()])
            waited = max(0, take - max(free, at_hand))
            if waited:
                self._lose(max(waits, key=waits.get), waited, take + 1)
            if row.op is outputs and not self.written and (row.op is Op.OUT or self._last(step)):
                self.written, take = True, take + self.held
                held = max(0, take - max(free, at_hand)) - waited
                self._lose("outputs of the job before", held, take + 1)
                waited += held
            begins = max(take + 1, since + cfg.b - 1) if loads else take + 1    # of the load
            if loads and row.op is Op.Q and before is Op.SCORE:    # only where centroids stay
                begins = max(begins, free + 1)      # C0 lies beside K
            moved = max(free, begins + load_slots(cfg) - 1) if loads else take
            turn = row.op is Op.HASH and (moved + cfg.token_row(step.part, self._first(row.lsh))) % 2
            load = max(0, moved - max(begins - 1, free)) if loads else 0        # that nothing hides
            self._lose("value load", moved - free - waited - load if loads else 0, moved + 1 - load)
            length, pad = self._slots(step)
            moved += turn           # CACC has the tokens of the other parity
            self._lose("turn of the tokens", turn, moved + 1)
            stream = moved + 1
            self.first.setdefault(row.op, stream - turn - load if load else stream)
            loaded, since, before = loads, stream if loads else since, row.op
            free = stream + length + pad - 1      # its last slot
            self._effects(step, stream, stream + length - 1)
            self._record(step, stream, load, length, pad, turn)
        return free

    def _last(self, step: Step) -> bool:
        """Whether a row takes the last slice, whose sums leave the array."""
        return step.part + step.row.each >= self.cfg.slices

    def _first(self, lsh: LSH) -> int:
        """Number of the first token of a clustering."""
        return self.first_query if lsh == LSH.QUERY else 0

    def _slots(self, step: Step):
        """Slots of the stream and of the pause behind it."""
        cfg, row = self.cfg, step.row
        last = self._last(step)
        least = least_stream(cfg, step.turns)
        if row.op is Op.HASH:
            length = self.m if row.lsh == LSH.QUERY else self.n
            return length, 0 if last else max(0, least - length)
        if row.op is Op.ALPHA:      # what it forms is read like the partial sums
            length = self.k0 if row.lsh is LSH.QUERY else self.k
            return length, max(0, least - length)
        if row.op in (Op.K, Op.V, Op.Q) and cfg.program.weights_stay:
            length = self.k0 if row.op is Op.Q else self.k
            return length, 0 if last and step.turn == step.turns - 1 else max(0, least - length)
        if row.op in (Op.K, Op.V):
            return cfg.d, max(0, cfg.b - cfg.d)
        if row.op is Op.Q:
            return cfg.d, (shortcut_pause(cfg) if last
                           else max(0, least - cfg.d))
        return self.k + (row.op is Op.SCORE and self.mode is Mode.EXACT), 0

    def _effects(self, step: Step, start, end):
        """What a row sets off in the other blocks; ``start`` and ``end`` are its first, last slot."""
        cfg, row, part, hpass, batch = self.cfg, step.row, step.part, step.hpass, step.batch * self.cfg.b
        if row.op is Op.HASH and part == cfg.slices - 1 and hpass == cfg.passes - 1:
            index = start + top_latency(cfg) + HASH_STAGES + cim_latency(cfg)
            self._use("CIM", f"CT{row.lsh}", index, index + end - start + 1)
            self._centroids(row.lsh, index + 1)
        elif row.op is Op.Q:
            self.ready[Wait.QUERIES] = start + query_guard(cfg)     # of the last row, in the end
        elif row.op is Op.V:
            self.ready[Wait.VALUES] = start + value_guard(cfg)
        elif row.op is Op.SCORE:
            self.scored.append((batch, end + top_latency(cfg) + SCORE_STAGES + cs_latency(cfg)))
            self._aggregate()
        elif row.op is Op.OUT:
            self.ap_free.append(end + issue_delay(cfg) + 2 - ap_latency(cfg)
                                + max(1, ap_clear_delay(cfg)))
            self._aggregate()
            self.ready[Wait.DRAIN] = end + drain_guard(cfg, self.k)
            shift = end + top_latency(cfg) + 3
            self._use("drain", f"O {batch // cfg.b}", shift, shift + cfg.d)

    def _aggregate(self):
        """PAG takes the next batch of scores, once O has taken all AP of a bank."""
        if self.scored and self.ap_free:
            batch, scored = self.scored.pop(0)
            start = max(scored + 1, self.pag_free, self.ap_free.pop(0))
            done = start + pag_cycles(self.cfg, self.n, min(self.cfg.b, self.k0 - batch))
            self._use("PAG", f"AP {batch // self.cfg.b}", start, done)
            self.pag_free = self.ap_done[batch // self.cfg.b] = done + 1

    def _centroids(self, lsh, offered):
        """CAG works through the slices of a clustering that is offered from that cycle on."""
        cfg, count, k = self.cfg, self.m if lsh == LSH.QUERY else self.n, self.sizes[lsh]
        for part in range(cfg.slices):
            job = cag_times(cfg, offered, count, k, self.cag, cfg.token_row(part, self._first(lsh)))
            self.cag.append(job)
            offered = job.following
            name = f"C{lsh}" + (f" slice {part}" if cfg.slices > 1 else "")
            self._use("CACC", name, job.accept, job.following)
            self._use("CAVG", name, job.average, job.bank_free)
        if lsh == LSH.KEY:
            self.ready[Wait.C1] = job.done + 1
        if lsh == self.order[-1]:
            self.ready[Wait.CENTROIDS] = job.done + 1

    def _record(self, step: Step, stream, load, length, pad, turn):
        """The row in the picture, and its useful products."""
        cfg, row, slots, batch = self.cfg, step.row, length, step.batch * self.cfg.b
        if load:
            self._work("LOAD", "LOAD", stream - turn - load, stream - turn)
        what = f"{row.op.name} {row.lsh}" if row.lsh is not None else row.op.name
        self._work(row.op.name, what, stream, stream + length)
        if pad:
            self._work("PAUSE", "PAUSE", stream + length, stream + length + pad)
        if row.op is Op.HASH:
            columns = min(cfg.b, cfg.l - step.hpass * cfg.b)
        elif row.op is Op.ALPHA:
            columns = 1
        elif cfg.program.weights_stay and row.op in (Op.K, Op.V, Op.Q):
            columns = min(cfg.b, cfg.d)
        else:
            rows = self.k if row.op in (Op.K, Op.V) else self.k0
            columns = min(cfg.b, rows - batch)
            length = min(length, self.k) if row.op is Op.SCORE else length
        begun = sum(op in self.first for op in self.begins)
        self.result.macs[PHASES[begun]] += cfg.d * columns * length
        self._lose("value load", load, stream - turn)
        self._lose("pause", pad + slots - length, stream + slots + pad)
        idle = {Op.HASH: "idle hash columns", Op.ALPHA: "products of centroids"}
        self._lose(idle.get(row.op, "ragged batch"),
                   length * (1 - columns / cfg.b), stream + length, length)

    def _lose(self, cause, cycles, end, length=None):
        """``cycles`` are lost before cycle ``end``, in so many or spread over ``length``."""
        if cycles:
            self.result.losses[cause] = self.result.losses.get(cause, 0) + cycles
            if self.uses:
                length = length or cycles
                self.result.uses.append(Use("lost", cause, end - length, end, cycles / length))

    def _work(self, operation, what, start, end):
        name = operation.lower()
        self.result.slots[name] = self.result.slots.get(name, 0) + end - start
        self._use("SA", what, start, end)

    def _use(self, unit, what, start, end):
        if self.uses:
            self.result.uses.append(Use(unit, what, start, end))
