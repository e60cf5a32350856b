"""The rows of a program as nested loops, slot by slot: what schedule and sequencer must issue.

Written from the paper (Table I, Fig. 10) and from docs/decisions/0002, 0028 and 0038, not from the rows of
``model.cta.table1`` and ``model.cta.weight_stationary``. Other programs are told by the order of their
clusterings, and by whether O of a batch follows its scores at once.
"""

from dataclasses import dataclass, field

from gen.cta.partial_sum import Inject
from model.cta.job import LSH
from model.cta.layout import JOB_FIELDS, pack_fields
from model.cta.schedule import Op

__all__ = ["Head", "Row", "rows"]


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
    linear: bool = False

    @property
    def word(self):
        return pack_fields(JOB_FIELDS, {"mode": self.exact, "cross": self.cross, "n": self.n,
                                        "m": self.m, "set": self.set, "shared_a": self.shared_a,
                                        "reuse": self.reuse, "linear": self.linear})


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
    if head.linear:
        if cfg.program.fast and not head.reuse:
            yield from _alpha(cfg, head, queries=True)
        yield from _linear(cfg, head, Op.Q)
        return
    if not head.reuse:
        for lsh in () if head.exact else order:
            kept = head.shared_a and cfg.slices == cfg.passes == 1 and lsh != order[0]
            for hpass in range(cfg.passes):
                for part in parts:
                    yield _hash(cfg, head, lsh, hpass, part, kept)
        if cfg.program.fast:
            for queries in (False, True):
                yield from _alpha(cfg, head, queries)
    stay = cfg.program.weights_stay
    if stay:
        for op in (Op.K, Op.Q):
            yield from _linear(cfg, head, op)
    else:
        for batch in range(0, head.k, cfg.b):
            for part in parts:
                yield from _keys_and_values(cfg, head, batch, part)
    batches = range(0, head.k0, cfg.b)
    for batch in batches:
        for part in () if stay else parts:
            yield _query(cfg, head, batch, part)
        yield _score(cfg, head, batch)
        if stay and batch == batches[:2][-1]:      # V in the shadow of which PAG works on the first scores
            yield from _linear(cfg, head, Op.V)
        if overlap and batch:
            yield _out(cfg, head, batch - cfg.b)
        if not overlap:
            yield _out(cfg, head, batch)
    if overlap:
        yield _out(cfg, head, batches[-1])


def _loaded(cfg, values, seconds=None):
    """Steps of a load of the ``values`` of the columns, the far one first. With fast products they come in
    twos, what ``seconds`` has for a column before the value itself; a value is pushed two steps after its
    read, less what is read then if the row takes pairs."""
    if not cfg.program.fast:
        return [{"push": 1} | value for value in values]
    pair = seconds is not None
    steps = [value for two in zip(seconds or [{}] * len(values), values) for value in two]
    steps = [*steps, {}, {}] if steps else []
    return [{"push": at >= 2, "less": pair} | step for at, step in enumerate(steps)]


def _at(cfg, part, row, rows, swapped=False):
    """Row ``row`` of ``rows``: behind the slices before, or with fast products beside that of the other
    slice of a pair, before it or behind it."""
    if not cfg.program.fast:
        return part * rows + row
    return 2 * (part // 2 * rows + row) + (part + swapped * row) % 2


def _token_at(cfg, part, token):
    return _at(cfg, part, token, cfg.tokens + cfg.tokens % 2, swapped=True)


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
    row.load = _loaded(cfg, row.load)
    first = _first_query(head) if lsh == LSH.QUERY else 0
    for token in range(head.m if lsh == LSH.QUERY else head.n):
        slot = {"token": 1, "addr": _token_at(cfg, part, first + token),
                "inject": _inject(part, Inject.ZERO), **common, "part_last": part == cfg.slices - 1,
                "cols": cfg.b}
        if lsh == LSH.RESIDUAL:
            slot |= {"residual": 1, "c1_addr": _at(cfg, part, 0, cfg.k1)}
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
        row.load = _loaded(cfg, row.load)
        for dim in range(cfg.d):
            slot = _weight(cfg, head, 1 if op is Op.K else 2, part, dim) | {"cols": live}
            slot["inject"] = _inject(part, Inject.ZERO if op is Op.K else Inject.BIAS)
            if slot["inject"] is Inject.BIAS:    # the rows of level 1 alone
                slot["bias_cols"] = max(0, min(cfg.b, head.k1 - batch))
            row.stream.append(slot)
        yield row


def _linear(cfg, head, op):
    """All of K, V or Q where weights stay: a group of b dimensions after the other, or two in turn where
    the centroids are fewer than the slots after which their partial sums are back."""
    count = head.k0 if op is Op.Q else head.k
    way = cfg.d + 3
    groups = [range(dim, min(cfg.d, dim + cfg.b)) for dim in range(0, cfg.d, cfg.b)]
    parts = range(0, cfg.slices, 2 if cfg.program.fast else 1)
    together = 2 if len(parts) > 1 and len(groups) > 1 and count + _stop(cfg) < way else 1
    which = {Op.Q: 0, Op.K: 1, Op.V: 2}[op]
    for first in range(0, len(groups), together):
        for part in parts:
            last = part == parts[-1]
            for turn in range(together):
                row = Row(op, waits="centroids" if op is Op.K else "")
                dims = groups[first + turn]
                values, seconds = ([_value(cfg, head, which, part + at, dims, column)
                                    for column in _columns(cfg)] for at in (0, 1))
                row.load = _loaded(cfg, values, seconds)
                for number in range(count):
                    row.stream.append(_operand(cfg, head, op, part, number) | {
                        "part_last": last, "cols": len(dims), "dim": dims[0], "turn": turn,
                        "inject": _inject(part, _beginning(head, op, number)),
                        "counted": head.exact and first + turn == 0 and op is not Op.V})
                final = last and turn == together - 1
                for slot in row.stream:
                    slot["final"] = final and first + turn == len(groups) - 1
                if not final:
                    row.pause = max(0, -(-way // together) - _stop(cfg) - count)
                yield row


def _value(cfg, head, which, part, dims, column):
    """The read of a weight as a value, if there is such a dimension."""
    if column >= len(dims):
        return {}
    weight = _weight(cfg, head, which, part, dims[column])
    return {key: weight[key] for key in ("weight", "addr")}


def _alpha(cfg, head, queries):
    """Centroids past zeros, two slices at once: what fast products have too much of them. It is read as far
    behind as partial sums are."""
    op, count = (Op.Q, head.k0) if queries else (Op.K, head.k)
    for part in range(0, cfg.slices, 2):
        row = Row(Op.ALPHA, waits="centroids", load=_loaded(cfg, [{}] * cfg.b),
                  pause=max(0, cfg.d + 3 - _stop(cfg) - count))
        for number in range(count):
            row.stream.append(_operand(cfg, head, op, part, number) | {
                "part_last": part + 2 == cfg.slices, "inject": _inject(part, Inject.ZERO),
                "lsh": LSH.QUERY if queries else LSH.KEY})
        yield row


def _beginning(head, op, number):
    """A bias of V goes to the rows of level 1 alone, one of Q to all, and K has none."""
    return Inject.ZERO if op is Op.K or op is Op.V and number >= head.k1 else Inject.BIAS


def _operand(cfg, head, op, part, number):
    """Row ``number`` of the compressed queries or keys; in exact mode the token itself."""
    if head.exact:
        token = number + (_first_query(head) if op is Op.Q else 0)
        return {"token": 1, "centroid": 1, "addr": _token_at(cfg, part, token)}
    if op is Op.Q:
        return {"key": 1, "addr": _at(cfg, part, number, cfg.k0)}
    if number < head.k1:
        return {"value": 1, "addr": _at(cfg, part, number, cfg.k1)}
    return {"value": 1, "addr": cfg.slices * cfg.k1 + _at(cfg, part, number - head.k1, cfg.k2)}


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
    row.load = _loaded(cfg, row.load)
    for dim in range(cfg.d):
        slot = _weight(cfg, head, 0, part, dim) | {"cols": min(cfg.b, head.k0 - batch)}
        slot["inject"] = _inject(part, Inject.BIAS)
        if part == 0:
            slot["bias_cols"] = cfg.b
        row.stream.append(slot)
    row.stream[-1]["shortcut"] = last
    for slot in row.stream:
        slot["final"] = last and batch + cfg.b >= head.k0
    return row


def _score(cfg, head, batch):
    row = Row(Op.SCORE)
    if cfg.program.weights_stay:      # Q lies where O of the batch will
        row.waits = "queries"
        row.load = _loaded(cfg, [{"query": 1, "addr": batch + column} if batch + column < head.k0 else {}
                                 for column in _columns(cfg)])
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
