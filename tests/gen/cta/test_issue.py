"""Issue: every part of a slot in the cycle in which its edge of the array needs it."""

import random

import pytest
from amaranth.lib import data

from gen.cta.issue import Issue
from gen.cta.lane_commands import LaneCommand
from gen.cta.partial_sum import AlphaRead, Inject, InjectControl, PartialSumWrite
from gen.cta.ppe import PPEOp
from gen.cta.ppe_row import PPEControl
from gen.cta.sequencer import Slot
from model.cta.config import CTAConfig
from model.cta.schedule import Op
from model.cta.timing import ap_latency, issue_delay, shortcut_pause, top_latency
from tests.gen.mutants import each_found, edited
from verif.port_table import PortTable, play_native

CONFIGS = {"plain": dict(b=4, d=8, l=2, n=12),
           "slices": dict(b=2, d=16, dw=48, l=5, n=50, k2=3, program="table1"),
           "weights": dict(b=4, d=16, dw=48, l=5, n=50, k2=3),
           "b above d": dict(b=16, d=8, l=3, n=5),
           "fast": dict(b=4, d=16, dw=64, l=5, n=50, k0=20, k2=3, products="fast")}


def bits(layout, **values):
    """The layout's bits, each value reduced to its field."""
    layout, word = data.Layout.cast(layout), 0
    for name, value in values.items():
        field = layout[name]
        value = bits(field.shape, **value) if isinstance(value, dict) else int(value)
        word |= (value & ((1 << field.width) - 1)) << field.offset
    return word


def random_slots(cfg, rng, count):
    """Slots with every field free, as far as they mean anything."""
    slots = []
    for _ in range(count):
        slot = {name: rng.getrandbits(field.width) for name, field in Slot(cfg)}
        slot["op"] = rng.choice([0, *(op for op in Op if cfg.program.fast or op is not Op.ALPHA)])
        slot["inject"] = rng.choice(list(Inject)).value
        slot["stream"] &= slot["op"] != 0
        for name in ("first", "last", "swap", "shortcut", "residual"):
            slot[name] &= slot["stream"]
        slots.append(slot)
    if cfg.program.weights_stay:       # groups are at least 2b-1 slots apart
        for at, slot in enumerate(slots):
            slot["first"] &= all(not other["first"] for other in slots[max(0, at - 2 * cfg.b + 2):at])
            if slot["first"] and rng.random() < 0.7:
                slot |= {"op": rng.choice((Op.V, Op.Q)), "inject": Inject.BIAS.value}
            if slot["first"] and cfg.program.fast and rng.random() < 0.3:
                slot |= {"op": Op.K, "inject": Inject.ZERO.value}
    return slots


def issue_table(cfg, rng, count=150):
    """Slots in every cycle and what each must cause, by the timing of the docstring."""
    table = PortTable()
    D, top = issue_delay(cfg), top_latency(cfg)
    command, inject, fate = LaneCommand(cfg), InjectControl(cfg), PPEControl(cfg)
    clusters = [rng.getrandbits(cfg.token_id_width) for _ in range(count + 100)]
    slots = random_slots(cfg, rng, count)
    begun, since = -cfg.b, {}                  # the slot from which biases are asked for
    late = {}                                  # what pulses later than the rest of its slot
    for at, slot in enumerate(slots):
        late[at + shortcut_pause(cfg) + 1, "sc"] = slot["shortcut"]
    layout = Slot(cfg)
    for at, slot in enumerate(slots):
        table.drive[at]["slot", None] = bits(layout, **slot)
        table.drive[at]["ct1", None] = clusters[at]

        def expect(cycle, **values):
            if cycle < count:
                table.expect[cycle] |= {(name, None): value for name, value in values.items()}

        op, stream, x = slot["op"], slot["stream"], at + D + 2
        expect(at + D - 2, ct_en=slot["residual"], ct_addr=slot["index"])
        fast, linear = cfg.program.fast, op in (Op.K, Op.V, Op.Q)
        c1_addr = slot["c1_addr"] + (clusters[at + D - 1] * (1 + fast) if slot["residual"] else 0)
        expect(at + D, cmd=bits(
            command, **{name: slot[name] for name, _ in command if name not in ("addr", "c1_addr", "pe")},
            addr=slot["addr"], c1_addr=c1_addr,
            pe={"df2": op == Op.OUT and stream, "first": slot["first"], "swap": slot["swap"],
                "sc": late.get((at, "sc"), 0),
                **({"pair": stream and (linear or op == Op.ALPHA)} if fast else {})}))
        out = op == Op.OUT
        expect(x - ap_latency(cfg), ap_en=out and stream, ap_last=out and slot["last"],
               ap_level2=slot["level2"], ap_entry=slot["entry"])
        if cfg.program.weights_stay:
            row = slot["index"] + slot["turn"] * (cfg.d + 3)
            begins = fast and stream and linear and slot["inject"] != Inject.PARTIAL.value
            if slot["first"] and (begins if fast else slot["inject"] == Inject.BIAS.value):
                begun = at                 # biases of a group: one a cycle for b cycles
                since = {"bias_v": op == Op.V, "dim": slot["dim"], "bias_k": op == Op.K}
            asks = at - begun < cfg.b
            of = {name: since.get(name) for name in ("bias_v", *["bias_k"] * fast)}
            expect(x - 1 - 2 * fast, bias_en=asks,
                   **(of | {"bias_addr": since["dim"] + at - begun} if asks else {}))
            expect(x, inject=bits(inject, kind=slot["inject"] if stream else 0, addr=row,
                                  first=slot["first"], **({"begins": begins} if fast else {})))
            if fast:       # rows of queries behind those of keys
                queries = op == Op.Q or op == Op.ALPHA and slot["lsh"] == 0
                alpha = slot["index"] + (cfg.keys if queries else 0)
                expect(x - 1, alpha=bits(AlphaRead(cfg), en=begins, addr=alpha))
        else:
            row = slot["index"] + (cfg.d if op == Op.V else 0)
            expect(x - 1, bias_en=stream and slot["inject"] == Inject.BIAS.value,
                   bias_v=op == Op.V, bias_addr=slot["index"])
            expect(x, inject=bits(inject, kind=slot["inject"] if stream else 0, addr=row,
                                  cols=slot["bias_cols"]))
        partial = stream and not slot["part_last"] and op not in (Op.SCORE, Op.OUT)
        result = (PPEOp.PSUM if partial else PPEOp[Op(op).name] if op != Op.ALPHA else PPEOp.NONE
                  ) if stream else PPEOp.NONE
        whole = fast and stream and op == Op.ALPHA and slot["part_last"]
        expect(at + top, partial=bits(PartialSumWrite(cfg), en=partial, addr=alpha if whole else row,
                                      **({"alpha": whole} if fast else {})))
        expect(at + top - 1, ppe=bits(fate, op=result.value, **{name: slot[name] for name in (
                   "lsh", "hpass", "first", "last", "level2", "zero", "cols")}))
    return table


def check(cfg, seed, block=Issue):
    play_native(block(cfg), issue_table(cfg, random.Random(seed)), seed)


@pytest.mark.parametrize("name", CONFIGS)
def test_issue(name):
    check(CTAConfig(**CONFIGS[name]), 21)


MUTANTS = {
    "values never taken": ("cmd.pe.swap.eq(known.swap)", "cmd.pe.swap.eq(0)"),
    "shortcut one early": ("shortcut_pause(cfg) + 1", "shortcut_pause(cfg)"),
    "AP one late": ("wait + 2 - ap_latency(cfg)", "wait + 3 - ap_latency(cfg)"),
    "V on the partial sums of K": ("below.index + Mux(second,", "below.index + Mux(0,"),
    "C1 without its cluster": ("Mux(known.residual, self.ct1 << cfg.program.fast, 0)", "0"),
    "result one early": ("top_latency(cfg) - wait - 2", "top_latency(cfg) - wait - 3"),
    "partial scores": ("(below.op != Op.SCORE) & (below.op != Op.OUT)", "(below.op != Op.OUT)"),
}


test_mutants = each_found(Issue, MUTANTS, lambda block: check(CTAConfig(**CONFIGS["slices"]), 21, block))


BIASES = {
    "one bias for all": ("self.bias_en.eq(begins | (column != 0))", "self.bias_en.eq(begins)"),
    "the next group's bias too": ("column == self.cfg.b - 1", "column == self.cfg.b"),
    "biases of V for Q": ("Mux(begins, before.op == Op.V, v)", "v"),
    "biases of the first group": ("Mux(begins, before.dim, addr)", "Mux(begins, 0, addr)"),
}


@pytest.mark.parametrize("name", BIASES)
def test_mutants_of_biases(name):
    with pytest.raises(AssertionError, match="seed"):
        check(CTAConfig(**CONFIGS["weights"]), 21, edited(Issue, *BIASES[name], "_ask_biases"))


FAST = {
    "alphas of queries among those of keys": ("Mux(queries, self.cfg.keys, 0)", "0", "_row"),
    "alpha off every partial sum": ("& (slot.inject != Inject.PARTIAL)", "", "_begins"),
    "betas of Q for K": ("Mux(begins, before.op == Op.K, k)", "0", "_ask_biases"),
    "C1 of a lone slice": ("self.ct1 << cfg.program.fast", "self.ct1"),
    "alpha of plain sums": ("self._linear(known) | (known.op == Op.ALPHA)", "self._linear(known)"),
    "alpha of every part": ("below.part_last & (below.op == Op.ALPHA)", "(below.op == Op.ALPHA)"),
    "alpha among partial sums": ("with m.If(alpha):", "with m.If(0):"),
}


@pytest.mark.parametrize("name", FAST)
def test_mutants_of_fast_products(name):
    with pytest.raises(AssertionError, match="seed"):
        check(CTAConfig(**CONFIGS["fast"]), 21, edited(Issue, *FAST[name]))
