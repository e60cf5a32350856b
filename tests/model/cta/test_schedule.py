"""The schedule as data: a program that can be walked, in the order of Table I."""

import pytest

from model.cta.job import LSH, Mode
from model.cta.schedule import Loop, Op, Sizes, Wait
from model.cta.table1 import TABLE_I
from model.cta.weight_stationary import FAST_PRODUCTS, WEIGHT_STATIONARY

PROGRAM, ENTRY = {row.name: row for row in TABLE_I.rows}, dict(zip(Mode, TABLE_I.entry))


def walk(entry, slices, passes, key_batches, query_batches):
    """(op, lsh, slice, batch) of every row, by the rule in the module's docstring."""
    counts = {Loop.PASS: passes, Loop.KEY: key_batches, Loop.QUERY: query_batches}
    at = {Loop.PASS: 0, Loop.KEY: 0, Loop.QUERY: 0}
    name, part, rows = entry, 0, []
    while name is not None:
        row = PROGRAM[name]
        loop = (Loop.PASS if row.op is Op.HASH else Loop.KEY if row.op in (Op.K, Op.V)
                else Loop.QUERY)
        rows.append((row.op.name, row.lsh or 0, part, at[loop] - row.previous))
        if row.slices and part < slices - 1:
            name, part = row.slices, part + 1
            continue
        part = 0 if row.slices else part
        if row.loop and at[row.loop] < counts[row.loop] - 1:
            at[row.loop] += 1
            name = row.again
        else:
            if row.loop in (Loop.PASS, Loop.KEY):
                at[row.loop] = 0
            name = row.next
        assert len(rows) < 1000, "the program does not end"
    return rows


def test_names_resolve():
    assert set(ENTRY) == set(Mode) and set(ENTRY.values()) <= set(PROGRAM)
    for name, row in PROGRAM.items():
        for other in (row.next, row.slices, row.again):
            assert other is None or other in PROGRAM, name
        assert bool(row.loop) == (row.again is not None), name


@pytest.mark.parametrize("slices", [1, 3])
@pytest.mark.parametrize("key_batches, query_batches", [(1, 1), (2, 1), (1, 2), (3, 4)])
@pytest.mark.parametrize("mode", Mode)
def test_order_of_table_1(mode, key_batches, query_batches, slices):
    """LSH1, LSH0, LSH2; K and V batch by batch; then Q and S of a batch before O of the last."""
    passes, parts = 2, range(slices)
    want = []
    if mode is Mode.CTA:
        want += [("HASH", lsh, part, hpass) for lsh in (1, 0, 2) for hpass in range(passes)
                 for part in parts]
    want += [(op, 0, part, t) for t in range(key_batches) for part in parts for op in "KV"]
    for t in range(query_batches):
        want += [("Q", 0, part, t) for part in parts] + [("SCORE", 0, 0, t)]
        if t:
            want.append(("OUT", 0, 0, t - 1))
    want.append(("OUT", 0, 0, query_batches - 1))
    assert walk(ENTRY[mode], slices, passes, key_batches, query_batches) == want
    steps = TABLE_I.walk(mode, Sizes(slices, passes, key_batches, query_batches))
    assert [(step.row.op.name, step.row.lsh or 0, step.part,
             step.hpass if step.row.op is Op.HASH else step.batch) for step in steps] == want


def test_what_rows_wait_for():
    """Residuals need C1, K all centroids (CAG gives its columns back), O its probabilities."""
    needs = {name: row.wait for name, row in PROGRAM.items() if row.wait}
    out = Wait.PROBABILITY | Wait.DRAIN
    assert needs == {"hash2": Wait.C1, "key": Wait.CENTROIDS, "out": out, "out last": out}
    assert [name for name, row in PROGRAM.items() if row.load] == [
        "hash1", "hash0", "hash2", "key", "query first", "query"]


@pytest.mark.parametrize("slices, groups, in_turn", [(1, 1, ""), (3, 1, ""), (1, 4, ""), (3, 4, ""),
                                                     (3, 4, "KV"), (2, 2, "KVQ")])
@pytest.mark.parametrize("queries", [1, 2, 4])
@pytest.mark.parametrize("mode", Mode)
def test_order_where_weights_stay(mode, queries, slices, groups, in_turn):
    """Whole linears, group by group or two groups in turn, V behind two batches of scores; then S of a
    batch before O of the last."""
    want = []
    if mode is Mode.CTA:
        want += [("HASH", lsh, part, hpass) for lsh in (1, 0, 2) for hpass in range(2)
                 for part in range(slices)]

    def linear(op):
        together = 2 if op in in_turn else 1
        return [(op, 0, part, first + turn) for first in range(0, groups, together)
                for part in range(slices) for turn in range(together)]

    want += linear("K") + linear("Q")
    for t in range(queries):
        want += [("SCORE", 0, 0, t)]
        want += linear("V") if t == min(1, queries - 1) else []
        want += [("OUT", 0, 0, t - 1)] if t else []
    want.append(("OUT", 0, 0, queries - 1))
    sizes = Sizes(slices, 2, 3, queries, groups, frozenset(Op[op] for op in in_turn))
    steps = WEIGHT_STATIONARY.walk(mode, sizes)
    assert [(step.row.op.name, step.row.lsh or 0, step.part, step.hpass if step.row.op is Op.HASH else
             step.group if step.row.turns else step.batch) for step in steps] == want


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("mode", Mode)
def test_order_of_fast_products(mode, reuse):
    """ALPHA of keys and queries before the linears, once a clustering; linears take two slices at once."""
    steps = [*FAST_PRODUCTS.walk(mode, Sizes(4, 1, 3, 2, 2), reuse)]
    alphas = [] if reuse else [(lsh, part) for lsh in (LSH.KEY, LSH.QUERY) for part in (0, 2)]
    assert [(step.row.lsh, step.part) for step in steps if step.row.op is Op.ALPHA] == alphas
    for op in Op.K, Op.Q, Op.V:
        assert [(step.group, step.part) for step in steps if step.row.op is op] == [
            (group, part) for group in (0, 1) for part in (0, 2)]
    plain = [*WEIGHT_STATIONARY.walk(mode, Sizes(4, 1, 3, 2, 2), reuse)]
    fast = (Op.ALPHA, Op.K, Op.Q, Op.V)
    assert [(step.row.op, step.part, step.batch) for step in steps if step.row.op not in fast] == [
        (step.row.op, step.part, step.batch) for step in plain if step.row.op not in fast]
