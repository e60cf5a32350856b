"""When schedule and sequencer must issue the slots of a program, to the cycle.

The rows are those of :mod:`verif.cta.sequencer_rows`. What other blocks answer is scripted: when C1 is
written, when all centroids are, when PAG has the probabilities of a batch.
"""

from gen.cta.lane_commands import LaneCommand, ValueRead
from model.cta.layout import TraceOp
from model.cta.schedule import Op
from verif.cta.sequencer_rows import Head, rows
from verif.port_table import PortTable

__all__ = ["Head", "rows", "random_head", "head_program"]

def random_head(cfg, rng, exact):
    """Any sizes the configuration allows, with the ends likely. An exact one may be a linear job."""
    def size(limit, low=1):
        return int(rng.choice((low, limit, rng.integers(low, limit + 1))))

    if exact and cfg.program.linear is not None and rng.integers(2):
        rows = size(min(cfg.n, cfg.queries))
        return Head(rows, rows, rows, rows, rows, exact, set=int(rng.integers(cfg.sets)),
                    reuse=bool(rng.integers(2)), linear=True)
    n = size(cfg.exact if exact else cfg.n)
    cross = n < cfg.tokens and bool(rng.integers(2))
    m = size(min(cfg.exact if exact else cfg.n, cfg.tokens - n)) if cross else n
    k0, k1 = (m, n) if exact else (size(min(m, cfg.k0)), size(min(n, cfg.k1)))
    k = k1 if exact else k1 + size(min(n, cfg.k2))
    return Head(n, m, k0, k1, k, exact, cross, bool(rng.integers(2)), int(rng.integers(cfg.sets)),
                reuse=bool(rng.integers(2)))


def head_program(cfg, rng, heads, slow=True, cut=False, **program):
    """A table with the heads after each other: every slot, to the cycle, from the events' cycles.

    ``slow`` lets the other blocks take their time at random; without, they answer as early as they
    may, and rows that wait for nothing follow each other without a gap. ``cut`` starts each head
    before the one in front has ended. ``program`` is what :func:`rows` takes.
    """
    table = PortTable(control=("start", "c1_done", "centroids_done", "ap_done"))
    start = 2
    for head in heads:
        slots, driven = _timeline(cfg, rng, head, start, slow, program)
        end = max(slots) + 1
        stop = int(rng.integers(start + 1, end + 1)) if cut and head is not heads[-1] else end
        for cycle in range(start, stop + 1):
            table.drive[cycle] |= driven.get(cycle, {})
            table.drive[cycle]["job", None] = head.word
            table.drive[cycle]["outputs_free", None] = 1
            table.drive[cycle]["c1_done", None] = int(cycle >= driven["c1"])
            table.drive[cycle]["centroids_done", None] = int(cycle >= driven["centroids"])
            if cycle >= driven["centroids"] - 1:
                table.drive[cycle] |= {(f"clusters__{name}", None): getattr(head, name)
                                       for name in ("k0", "k1", "k")}
            if cycle > start:
                table.expect[cycle] |= _expected(cfg, slots.get(cycle))
        table.drive[start]["start", None] = 1
        if stop == end:
            # The schedule is through as soon as its last row is under way.
            table.expect[end] |= {("ended", None): 1, **_expected(cfg, None)}
        start = stop
    return table


def _timeline(cfg, rng, head, start, slow, program):
    """Slots by cycle, and what the other blocks say when."""
    def while_later():
        return int(rng.integers(1, 30)) if slow else 0

    slots, driven = {}, {}
    # The last slot of the row before, the cycle in which it went from load to stream, whether it had
    # a load, the first slot of the values in use, and what the row was.
    free, moved, loaded, since, before = start + 1, start + 1, True, -cfg.b, None
    events = {"": 0}
    drained = values = 0
    for row in rows(cfg, head, **program):
        if row.waits and row.waits not in events:      # comes some time after what it needs
            events[row.waits] = free + while_later()
            if row.waits == "probability":
                driven[events["probability"]] = {("ap_done", None): 1}
                events["probability"] += 1
            else:
                driven[row.waits] = events[row.waits]
        # A row that loads is at hand as soon as the one before it streams.
        at_hand = moved + (not loaded) if row.load and cfg.ahead else free
        taken = max(at_hand, events[row.waits], max(drained, values) if row.op is Op.OUT else 0)
        moved = taken
        if row.load:
            at = max(taken + 1, since + cfg.b - 1)     # the values before reach the last column
            if row.op is Op.Q and before is Op.SCORE:  # C0 and K lie in one bank
                at = max(at, free + 1)
            for fields in row.load:
                slot = slots.setdefault(at, {"activity": TraceOp.LOAD, "op": row.op, "stream": 0,
                                             "first": 0, "last": 0, "swap": 0, "shortcut": 0})
                slot |= {f"shadow_{name}": v for name, v in fields.items()}
                at += 1
            moved = max(free, at - 1)
        if row.op is Op.HASH:      # in odd cycles of the job even tokens, in even ones odd
            moved += (moved + 1 - start + row.stream[0]["addr"]) % 2
        at = moved + 1
        loaded, since, before = bool(row.load), at if row.load else since, row.op
        for index, fields in enumerate(row.stream):
            slots[at] = {"activity": int(row.op), "op": row.op, "stream": 1, "first": index == 0,
                         "last": index == len(row.stream) - 1, "swap": loaded and index == 0,
                         "shortcut": 0, "index": index, **fields}
            at += 1
        if row.op is Op.OUT:
            # Results climb d rows, and a row of k slots ends when no result below it moves any more.
            drained = at - 1 + max(cfg.d + 2, 2 * cfg.d + 2 - head.k)
            del events["probability"]
        if row.op is Op.Q and cfg.program.weights_stay:
            # Its row b-1, on its way up the array and home, where rows of a lane are written together.
            events["queries"] = at - len(row.stream) + cfg.b + (cfg.d + 7) + cfg.lane_rows - 3
        if row.op is Op.V and cfg.program.weights_stay:
            # Its row 0 for the lanes of the last b rows of the array, which read it d - b cycles after the
            # first.
            values = at - len(row.stream) + cfg.b + (cfg.d + 7) - cfg.d + cfg.lane_rows - 2
        for _ in range(row.pause):
            slots[at] = {"activity": TraceOp.PAUSE, "op": row.op, "stream": 0, "first": 0,
                         "last": 0, "swap": 0, "shortcut": 0}
            at += 1
        free = at - 1                                  # the last slot takes the next row
    driven.setdefault("c1", start)
    driven.setdefault("centroids", start)
    return slots, driven


def _expected(cfg, slot):
    """What shows in a cycle; without a slot nothing is read and nothing goes on."""
    reads = (*LaneCommand.banks(cfg), "residual", *(["counted"] if cfg.program.weights_stay else []),
             *(f"shadow_{name}" for name in ("push", *ValueRead.banks(cfg))))
    nothing = dict.fromkeys(reads, 0)
    shown = nothing | (slot or {"activity": TraceOp.IDLE, "op": 0, "stream": 0, "swap": 0})
    activity = shown.pop("activity")
    return {("activity", None): activity,
            **{(f"slot_{name}", None): int(getattr(value, "value", value))
               for name, value in shown.items()}}
