"""Table I as nested loops, slot by slot: what schedule and sequencer must issue, and when.

Written from the paper (Table I, Fig. 10) and from docs/decisions/0002, not from the rows of
``model.cta.table1``. Other programs are told by the order of their clusterings, and by whether O of a
batch follows its scores at once. What other blocks answer is scripted: when C1 is written, when all centroids
are, when PAG has the probabilities of a batch.
"""

from dataclasses import dataclass, field

from gen.cta.partial_sum import Inject
from model.cta.job import LSH
from model.cta.layout import JOB_FIELDS, TraceOp, pack_fields
from model.cta.schedule import Op
from verif.port_table import PortTable

__all__ = ["Head", "Row", "rows", "random_head", "head_program"]

READS = ("token", "weight", "key", "value", "residual")
LOADS = ("token", "weight", "key", "value")


@dataclass(frozen=True)
class Head:
    """A job as the sequencer sees it. ``k`` counts the rows of both levels."""

    n: int
    m: int
    k0: int
    k1: int
    k: int
    exact: bool = False
    cross: bool = False
    shared_a: bool = False
    set: int = 0
    reuse: bool = False

    @property
    def word(self):
        return pack_fields(JOB_FIELDS, {"mode": self.exact, "cross": self.cross, "n": self.n,
                                        "m": self.m, "set": self.set, "shared_a": self.shared_a,
                                        "reuse": self.reuse})


@dataclass
class Row:
    """One use of the array: the fields of each slot of its load, of its stream, and the pause."""

    op: Op
    load: list = field(default_factory=list)
    stream: list = field(default_factory=list)
    pause: int = 0
    waits: str = ""        # "c1", "centroids" or "probability" (and the drain)


def rows(cfg, head, order=(1, 0, 2), overlap=True):
    """All rows of a head in the order of Table I; or with the clusterings in another ``order``, or
    without ``overlap``: O of a batch then follows its own scores."""
    parts = range(cfg.slices)
    if not (head.exact or head.reuse):
        for lsh in order:
            kept = head.shared_a and cfg.slices == cfg.passes == 1 and lsh != order[0]
            for hpass in range(cfg.passes):
                for part in parts:
                    yield _hash(cfg, head, lsh, hpass, part, kept)
    for batch in range(0, head.k, cfg.b):
        for part in parts:
            yield from _keys_and_values(cfg, head, batch, part)
    batches = range(0, head.k0, cfg.b)
    for batch in batches:
        for part in parts:
            yield _query(cfg, head, batch, part)
        yield _score(cfg, head, batch)
        if overlap and batch:
            yield _out(cfg, head, batch - cfg.b)
        if not overlap:
            yield _out(cfg, head, batch)
    if overlap:
        yield _out(cfg, head, batches[-1])


def _columns(cfg):
    """Columns in the order in which their values enter: the far one first, since x walks right."""
    return reversed(range(cfg.b))


def _hash(cfg, head, lsh, hpass, part, kept):
    row = Row(Op.HASH, waits="c1" if lsh == LSH.RESIDUAL else "")
    common = {"lsh": lsh, "hpass": hpass}
    base = head.set * cfg.weight_rows + 3 * cfg.dw
    for column in [] if kept else _columns(cfg):
        function = hpass * cfg.b + column
        row.load.append({} if function >= cfg.l else
                        {"weight": 1, "addr": base + (lsh * cfg.slices + part) * cfg.l + function})
    first = part * cfg.token_stride + (_first_query(head) if lsh == LSH.QUERY else 0)
    for token in range(head.m if lsh == LSH.QUERY else head.n):
        slot = {"token": 1, "addr": first + token, "inject": _inject(part, Inject.ZERO), **common,
                "part_last": part == cfg.slices - 1, "cols": cfg.b}
        if lsh == LSH.RESIDUAL:
            slot |= {"residual": 1, "c1_addr": part * cfg.k1}
        row.stream.append(slot)
    if part != cfg.slices - 1:    # its sums come round to the bottom d + 3 slots later
        row.pause = max(0, cfg.d + 3 - _stop(cfg) - len(row.stream))
    return row


def _keys_and_values(cfg, head, batch, part):
    live = min(cfg.b, head.k - batch)
    for op in (Op.K, Op.V):
        row = Row(op, waits="centroids", pause=max(0, cfg.b - cfg.d))
        for column in _columns(cfg) if op is Op.K else []:
            number = batch + column
            if number >= head.k:
                row.load.append({})
            elif head.exact:
                row.load.append(_token(cfg, part, number))
            elif number < head.k1:
                row.load.append({"value": 1, "addr": part * cfg.k1 + number})
            else:
                row.load.append({"value": 1, "addr": (cfg.slices * cfg.k1 + part * cfg.k2
                                                    + number - head.k1)})
        for dim in range(cfg.d):
            slot = _weight(cfg, head, 1 if op is Op.K else 2, part, dim) | {"cols": live}
            slot["inject"] = _inject(part, Inject.ZERO if op is Op.K else Inject.BIAS)
            if slot["inject"] is Inject.BIAS:    # the rows of level 1 alone
                slot["bias_cols"] = max(0, min(cfg.b, head.k1 - batch))
            row.stream.append(slot)
        yield row


def _query(cfg, head, batch, part):
    last = part == cfg.slices - 1
    row = Row(Op.Q, pause=3 if last else max(0, 3 - _stop(cfg)))
    for column in _columns(cfg):
        number = batch + column
        if number >= head.k0:
            row.load.append({})
        elif head.exact:
            row.load.append(_token(cfg, part, _first_query(head) + number))
        else:
            row.load.append({"key": 1, "addr": part * cfg.k0 + number})
    for dim in range(cfg.d):
        slot = _weight(cfg, head, 0, part, dim) | {"cols": min(cfg.b, head.k0 - batch)}
        slot["inject"] = _inject(part, Inject.BIAS)
        if part == 0:
            slot["bias_cols"] = cfg.b
        row.stream.append(slot)
    row.stream[-1]["shortcut"] = last
    return row


def _score(cfg, head, batch):
    row = Row(Op.SCORE)
    base = 0 if head.exact else cfg.slices * cfg.k0                 # behind C0
    for number in range(head.k):
        row.stream.append({"key": 1, "addr": base + number, "level2": number >= head.k1})
    if head.exact:
        row.stream.append({"zero": 1, "level2": 1})
    for slot in row.stream:
        slot |= {"cols": min(cfg.b, head.k0 - batch), "inject": Inject.ZERO}
    return row


def _out(cfg, head, batch):
    row = Row(Op.OUT, waits="probability")
    base = 0 if head.exact else cfg.slices * (cfg.k1 + cfg.k2)      # behind C1 and C2
    for number in range(head.k):
        level2 = number >= head.k1
        row.stream.append({"value": 1, "addr": base + number, "level2": level2,
                           "entry": number - head.k1 if level2 else number,
                           "cols": min(cfg.b, head.k0 - batch), "inject": Inject.ZERO})
    return row


def _stop(cfg):
    """Slots that a load takes from the array even where nothing goes wrong."""
    return 0 if cfg.ahead else cfg.b


def _first_query(head):
    """Token of the first query: behind the keys, where queries are other tokens."""
    return head.n if head.cross else 0


def _token(cfg, part, number):
    """The load of a token that is its own centroid."""
    return {"token": 1, "addr": part * cfg.token_stride + number}


def _inject(part, first):
    return first if part == 0 else Inject.PARTIAL


def _weight(cfg, head, which, part, dim):
    base = head.set * cfg.weight_rows
    return {"weight": 1, "addr": base + which * cfg.dw + part * cfg.d + dim,
            "part_last": part == cfg.slices - 1}


def random_head(cfg, rng, exact):
    """Any sizes the configuration allows, with the ends likely."""
    def size(limit, low=1):
        return int(rng.choice((low, limit, rng.integers(low, limit + 1))))

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
            if cycle >= driven["centroids"]:
                table.drive[cycle] |= {(f"clusters__{name}", None): getattr(head, name)
                                       for name in ("k0", "k1", "k")}
            if cycle > start:
                table.expect[cycle] |= _expected(slots.get(cycle))
        table.drive[start]["start", None] = 1
        if stop == end:
            # The schedule is through as soon as its last row is under way.
            table.expect[end] |= {("ended", None): 1, **_expected(None)}
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
    drained = 0
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
        taken = max(at_hand, events[row.waits], drained if row.op is Op.OUT else 0)
        moved = taken
        if row.load:
            at = max(taken + 1, since + cfg.b - 1)     # the values before reach the last column
            if row.op is Op.Q and before is Op.SCORE:  # C0 and K lie in one bank
                at = max(at, free + 1)
            for fields in row.load:
                slot = slots.setdefault(at, {"activity": TraceOp.LOAD, "op": row.op, "stream": 0,
                                             "first": 0, "last": 0, "swap": 0, "shortcut": 0})
                slot |= {"shadow_push": 1, **{f"shadow_{name}": v for name, v in fields.items()}}
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
            drained = at - 1 + 2 * cfg.d + 3
            del events["probability"]
        for _ in range(row.pause):
            slots[at] = {"activity": TraceOp.PAUSE, "op": row.op, "stream": 0, "first": 0,
                         "last": 0, "swap": 0, "shortcut": 0}
            at += 1
        free = at - 1                                  # the last slot takes the next row
    driven.setdefault("c1", start)
    driven.setdefault("centroids", start)
    return slots, driven


def _expected(slot):
    """What shows in a cycle; without a slot nothing is read and nothing goes on."""
    nothing = dict.fromkeys((*READS, *(f"shadow_{name}" for name in ("push", *LOADS))), 0)
    shown = nothing | (slot or {"activity": TraceOp.IDLE, "op": 0, "stream": 0, "swap": 0})
    activity = shown.pop("activity")
    return {("activity", None): activity,
            **{(f"slot_{name}", None): int(getattr(value, "value", value))
               for name, value in shown.items()}}
