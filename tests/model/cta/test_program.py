"""A program is a value: legal ones are taken and told in words, all others refused by name."""

import dataclasses
import json
import re

import pytest

from model.cta.config import CTAConfig, CTAFormats
from model.cta.cycles import head_cycles
from model.cta.job import LSH
from model.cta.programs import PROGRAMS
from model.cta.schedule import Loop, Op, Wait
from model.cta.table1 import TABLE_I
from model.cta.weight_stationary import FAST_PRODUCTS, WEIGHT_STATIONARY
from model.errors import ConfigError
from model.fixed import Format
from tests.model.cta.programs import ORDERS, program

LEGAL = {f"{''.join(str(int(c)) for c in order)}{'' if overlap else ', one by one'}":
         program(order, overlap) for order in ORDERS for overlap in (True, False)}


def test_table_1_is_one_of_them():
    order = TABLE_I.clusterings()
    assert dataclasses.replace(program(order), name=TABLE_I.name) == TABLE_I


@pytest.mark.parametrize("name", LEGAL)
def test_in_words_and_back(name):
    cfg = CTAConfig(program=LEGAL[name])
    again = CTAConfig.from_dict(json.loads(json.dumps(cfg.as_dict())))
    assert again == cfg and again.digest == cfg.digest and hash(again) == hash(cfg)
    words = cfg.as_dict()["program"]
    assert words["entry"]["exact"] == "key" and words["phases"] == {"linear": "k", "attention": "q"}
    assert [row["lsh"] for row in words["rows"] if row["op"] == "hash"] == [
        c.name.lower() for c in LEGAL[name].clusterings()]


def test_every_part_is_in_the_digest():
    values = [*LEGAL.values(), program(phases=(Op.V, Op.SCORE)), program(rename=str.upper)]
    values.append(dataclasses.replace(program(), name="another"))
    values.append(edited("hash2", kept=False))
    assert len({CTAConfig(program=value).digest for value in [TABLE_I, *values]}) == len(values) + 1
    assert CTAConfig(program=TABLE_I).digest == CTAConfig().digest


def test_order_of_the_clusterings():
    for order in ORDERS:
        assert program(order).clusterings() == order


def edited(which, **changes):
    """Table I with the row ``which`` changed."""
    return dataclasses.replace(TABLE_I, rows=tuple(
        dataclasses.replace(row, **changes) if row.name == which else row for row in TABLE_I.rows))


def reordered(order):
    return lambda: program(order)


REFUSED = {
    "no rows": (lambda: dataclasses.replace(TABLE_I, rows=()), "program.rows is (), must be a tuple"),
    "no such row": (lambda: edited("key", next="valve"),
                    "program.rows['key'].next is 'valve', must be None or one of"),
    "no such entry": (lambda: dataclasses.replace(TABLE_I, entry=("hash1", "kay")), "program.entry is"),
    "one entry": (lambda: dataclasses.replace(TABLE_I, entry=("hash1",)), "a row for each of 2 modes"),
    "two of a name": (lambda: edited("out", name="out last"), "must be a text that no other row has"),
    "loop to nowhere": (lambda: edited("value", again=None), "program.rows['value'].again is None"),
    "hash of nothing": (lambda: edited("hash0", lsh=None), "must be the clustering of a HASH"),
    "word for an operation": (lambda: edited("key", op="k"), "program.rows['key'].op is 'k', must be of Op"),
    "values not loaded": (lambda: edited("query", load=False), "must be True for Q"),
    "values of Q lost": (lambda: edited("score", load=True), "must be False for SCORE"),
    "residuals before C1": (lambda: edited("hash2", wait=Wait.NONE), "for HASH of LSH2"),
    "no wait for CAG": (lambda: edited("key", wait=Wait.NONE), "program.rows['key'].wait is"),
    "O before AP": (lambda: edited("out last", wait=Wait.DRAIN), "program.rows['out last'].wait is"),
    "waits for ever": (lambda: edited("hash1", wait=Wait.CENTROIDS), "for HASH of LSH1"),
    "LSH2 first": (reordered((LSH.RESIDUAL, LSH.KEY, LSH.QUERY)), "is LSH2 before LSH1, must be behind"),
    "LSH2 before LSH1": (reordered((LSH.QUERY, LSH.RESIDUAL, LSH.KEY)), "since residuals need C1"),
    "LSH0 twice": (lambda: edited("hash2", lsh=LSH.QUERY, wait=Wait.NONE), "a second walk of LSH0"),
    "LSH0 left out": (lambda: edited("hash1", next="hash2"), "a K before all clusterings"),
    "A kept from nowhere": (lambda: edited("hash1", kept=True), "is the first HASH and kept"),
    "passes left out": (lambda: edited("hash0", loop=Loop.NONE, again=None),
                        "before a clustering is complete"),
    "slices left out": (lambda: edited("hash1", slices=None), "before a clustering is complete"),
    "hashes for ever": (lambda: edited("hash2", next="hash1"), "a second walk of LSH1"),
    "clusters in exact mode": (lambda: dataclasses.replace(TABLE_I, entry=("hash1", "hash0")),
                               "left out of it"),
    "K alone": (lambda: edited("key", next="query first"), "program.rows['query first'] is a Q before"),
    "V before K": (lambda: dataclasses.replace(edited("hash2", next="value"),
                                               entry=("hash1", "value")), "is a V without its K"),
    "one batch of keys": (lambda: edited("value", loop=Loop.NONE, again=None), "is a Q before all keys"),
    "scores without Q": (lambda: edited("query first", next="out last"), "must be of batch 0"),
    "scores of the batch before": (lambda: edited("score first", again="score"), "is a SCORE without its Q"),
    "O of the wrong batch": (lambda: edited("out", previous=False), "is O of batch 1, must be of batch 0"),
    "a batch without O": (lambda: edited("out", next=None), "the end behind"),
    "previous Q": (lambda: edited("query", previous=True), "must be False but for OUT"),
    "phases in the wrong order": (lambda: program(phases=(Op.Q, Op.K)), "program.phases is ['Q', 'K']"),
    "a phase not in exact mode": (lambda: program(phases=(Op.HASH, Op.Q)), "operations of EXACT mode"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    make, text = REFUSED[name]
    with pytest.raises(ConfigError, match=re.escape(text)) as refusal:
        make()
    assert re.fullmatch(r"program\S* (\S.* )?is .+, must be .+|program.* is .+, must be .+",
                        str(refusal.value))


WORDS = {
    "a list": ([], "program is [], must be an object"),
    "a key": ({"colour": 1}, "program key 'colour' is unknown"),
    "no rows": ({"name": "x"}, "program is without entry"),
    "no mode": ({"entry": {}}, "program.entry is (None, None)"),
    "a mode": ({"entry": {"fast": "key"}}, "program.entry key 'fast' is unknown"),
    "a phase": ({"phases": {"linear": "x", "attention": "q"}}, "program.phases.linear is 'x', must be one"),
    "rows": ({"rows": 5}, "program.rows is 5, must be a list"),
    "a row": ({"rows": [7]}, "program.rows[0] is 7, must be an object"),
    "an operation": ({"rows": [{"name": "a", "op": "mul", "next": None}]}, "program.rows[0].op is 'mul'"),
    "an operation of none": ({"rows": [{"name": "a", "op": 1, "next": None}]}, "program.rows[0].op is 1"),
    "an event": ({"rows": [{"name": "a", "op": "k", "next": None, "wait": ["tea"]}]},
                 "program.rows[0].wait is 'tea', must be one of ['c1', 'centroids'"),
    "a name": ({"name": 3}, "program.name is 3, must be a text"),
    "a load": ({"rows": [{"name": "a", "op": "k", "next": None, "load": 1}]}, "program.entry is"),
}


@pytest.mark.parametrize("name", WORDS)
def test_refused_in_words(name):
    change, text = WORDS[name]
    data = {"program": change if name in ("a list", "a key", "no rows")
            else TABLE_I.as_dict() | change}
    with pytest.raises(ConfigError, match=re.escape(text)):
        CTAConfig.from_dict(data)


def weights(which, **changes):
    """The weight-stationary program with the row ``which`` changed."""
    return dataclasses.replace(WEIGHT_STATIONARY, rows=tuple(
        dataclasses.replace(row, **changes) if row.name == which else row for row in WEIGHT_STATIONARY.rows))


REFUSED_WEIGHTS = {
    "K that keeps its weights": (lambda: weights("k", load=False), "must be True for K"),
    "scores without a load": (lambda: weights("score", load=False), "must be True for SCORE"),
    "scores before Q is there": (lambda: weights("score", wait=Wait.NONE), "program.rows['score'].wait is"),
    "one group of V": (lambda: weights("v", loop=Loop.NONE, again=None),
                       "since the weights of every linear stay"),
    "K slice by slice": (lambda: weights("k", slices=None), "since the weights of every linear stay"),
    "no V": (lambda: weights("score second", next="out"), "is an O before V"),
    "V behind O": (lambda: weights("out last", next="v alone"), "is a V behind O"),
    "Q first": (lambda: dataclasses.replace(weights("hash2", next="q"), entry=("hash1", "q")),
                "is a Q before K"),
    "V first": (lambda: dataclasses.replace(weights("hash2", next="v"), entry=("hash1", "v")),
                "is a V before K"),
    "K again": (lambda: weights("v", next="k"), "is a second K, must be the only one"),
    "K before clusters": (lambda: weights("hash1", next="k"), "a K before all clusterings"),
    "no Q": (lambda: weights("k", next="score first"), "a SCORE before Q"),
    "scores in turn": (lambda: weights("score", turns=True), "must be False but for a linear"),
    "hashes in groups": (lambda: weights("hash2", loop=Loop.GROUP), "must be one of a linear"),
    "a batch without O": (lambda: weights("out", next=None), "the end behind"),
}


@pytest.mark.parametrize("name", REFUSED_WEIGHTS)
def test_refused_where_weights_stay(name):
    make, text = REFUSED_WEIGHTS[name]
    with pytest.raises(ConfigError, match=re.escape(text)) as refusal:
        make()
    assert re.fullmatch(r"program.* is .+, must be .+", str(refusal.value))


def fast(which, **changes):
    """The program of fast products with the row ``which`` changed."""
    return dataclasses.replace(FAST_PRODUCTS, rows=tuple(
        dataclasses.replace(row, **changes) if row.name == which else row for row in FAST_PRODUCTS.rows))


REFUSED_FAST = {
    "K alone": (lambda: fast("k", fast=False), "program.rows['k'].fast is False, must be True for ALPHA and"),
    "fast scores": (lambda: fast("score", fast=True), "program.rows['score'].fast is True"),
    "fast where centroids stay": (lambda: dataclasses.replace(TABLE_I, rows=tuple(
        dataclasses.replace(row, fast=row.op in (Op.K, Op.V, Op.Q)) for row in TABLE_I.rows)),
        "must be no ALPHA, and linears not fast"),
    "no ALPHA of queries": (lambda: fast("alpha keys", next="k"), "a fast K before both ALPHA"),
    "ALPHA twice": (lambda: fast("alpha queries", lsh=LSH.KEY), "a second ALPHA of the same rows"),
    "ALPHA of residuals": (lambda: fast("alpha keys", lsh=LSH.RESIDUAL), "KEY or QUERY of an ALPHA"),
    "ALPHA before clusters": (lambda: fast("hash1", next="alpha keys"), "an ALPHA before all clusterings"),
    "ALPHA behind K": (lambda: fast("k", next="alpha keys"), "an ALPHA behind K"),
    "ALPHA of one pair": (lambda: fast("alpha keys", slices=None), "the row itself, without another loop"),
}


@pytest.mark.parametrize("name", REFUSED_FAST)
def test_refused_with_fast_products(name):
    make, text = REFUSED_FAST[name]
    with pytest.raises(ConfigError, match=re.escape(text)) as refusal:
        make()
    assert re.fullmatch(r"program.* is .+, must be .+", str(refusal.value))


def test_products():
    """Fast products for slices in twos, else plain ones; what does not fit is refused."""
    assert CTAConfig(dw=128, products="fast").program == FAST_PRODUCTS
    for how in {"dw": 192}, {"dw": 64}, {"dw": 128, "program": "table1"}:
        cfg = CTAConfig(**how, products="fast")
        assert (cfg, cfg.products) == (CTAConfig(**how), "plain")
        assert cfg.digest == CTAConfig(**how).digest
    cfg = CTAConfig(dw=128, products="fast")
    assert CTAConfig.from_dict(json.loads(json.dumps(cfg.as_dict()))) == cfg and cfg.products == "fast"
    assert cfg.digest != CTAConfig(dw=128).digest
    for how, text in (({"products": "slow"}, "products is 'slow', must be one of"),
                      ({"program": TABLE_I, "products": "fast"}, "products is 'fast', must be plain with"),
                      ({"program": FAST_PRODUCTS, "dw": 192}, "dw is 192, must be an even multiple of d"),
                      ({"dw": 1024, "products": "fast", "fmt": CTAFormats(weight=Format(True, 13, 9))},
                       "fmt.weight.width is 13 with fast products at dw = 1024, must leave")):
        with pytest.raises(ConfigError, match=re.escape(text)):
            CTAConfig(**how)


def test_programs_by_name():
    """A token of several slices has its weights stay; either program can be asked for."""
    assert CTAConfig(dw=128).program == WEIGHT_STATIONARY and CTAConfig().program == TABLE_I
    for dw in (64, 128):
        for name, program_ in PROGRAMS.items():
            cfg = CTAConfig(dw=dw, program=name)
            assert cfg.program == program_ and cfg.aps == (2 if name == "weights" else 1)
            assert CTAConfig.from_dict(json.loads(json.dumps(cfg.as_dict()))) == cfg
            assert CTAConfig.from_dict({"dw": dw, "program": name}) == cfg


def test_no_program():
    with pytest.raises(ConfigError, match="program is 'Table I', must be a Program"):
        CTAConfig(program="Table I")


def test_a_program_that_waits_costs_more():
    """LSH0 first makes LSH2 wait for C1, and O next to its scores makes the array wait for PAG."""
    sizes = dict(n=40, m=40, k0=20, k1=15, k2=8)
    cost = {name: head_cycles(CTAConfig(b=4, d=8, l=2, n=40, program=value), **sizes).total
            for name, value in LEGAL.items()}
    assert cost["102"] < cost["012"] and cost["102"] < cost["120"]
    assert all(cost[name] < cost[f"{name}, one by one"] for name in ("102", "012", "120"))
