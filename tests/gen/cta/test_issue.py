"""Issue: every part of a slot in the cycle in which its edge of the array needs it."""

import random

import pytest
from amaranth.lib import data

from gen.cta.issue import Issue
from gen.cta.lane import LaneCommand
from gen.cta.partial_sum import Inject, InjectControl, PartialSumWrite
from gen.cta.ppe import PPEOp
from gen.cta.ppe_row import PPEControl
from gen.cta.sequencer import Slot
from model.cta.config import CTAConfig
from model.cta.schedule import Op
from model.cta.timing import ap_latency, issue_delay, shortcut_pause, top_latency
from tests.gen.mutants import each_found
from verif.port_table import PortTable, play_native

CONFIGS = {"plain": dict(b=4, d=8, l=2, n=12), "slices": dict(b=2, d=16, dw=48, l=5, n=50, k2=3),
           "b above d": dict(b=16, d=8, l=3, n=5)}
READS = ("token", "weight", "key", "value", "residual", "shadow")


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
        slot["op"] = rng.choice([0, *Op])
        slot["inject"] = rng.choice(list(Inject)).value
        slot["stream"] &= slot["op"] != 0
        for name in ("first", "last", "swap", "shortcut", "residual"):
            slot[name] &= slot["stream"]
        slots.append(slot)
    return slots


def issue_table(cfg, rng, count=150):
    """Slots in every cycle and what each must cause, by the timing of the docstring."""
    table = PortTable()
    D, top = issue_delay(cfg), top_latency(cfg)
    command, inject, fate = LaneCommand(cfg), InjectControl(cfg), PPEControl(cfg)
    clusters = [rng.getrandbits(cfg.token_id_width) for _ in range(count + 100)]
    slots = random_slots(cfg, rng, count)
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
        c1_addr = slot["c1_addr"] + (clusters[at + D - 1] if slot["residual"] else 0)
        expect(at + D, cmd=bits(
            command, **{name: slot[name] for name in READS},
            addr=slot["addr"], c1_addr=c1_addr,
            pe={"df2": op == Op.OUT and stream, "first": slot["first"], "swap": slot["swap"],
                "sc": late.get((at, "sc"), 0)}))
        out = op == Op.OUT
        expect(x - ap_latency(cfg), ap_en=out and stream, ap_last=out and slot["last"],
               ap_level2=slot["level2"], ap_entry=slot["entry"])
        row = slot["index"] + (cfg.d if op == Op.V else 0)
        expect(x - 1, bias_en=stream and slot["inject"] == Inject.BIAS.value,
               bias_v=op == Op.V, bias_addr=slot["index"])
        expect(x, inject=bits(inject, kind=slot["inject"] if stream else 0, addr=row,
                              cols=slot["bias_cols"]))
        partial = stream and not slot["part_last"] and op not in (Op.SCORE, Op.OUT)
        result = (PPEOp.PSUM if partial else PPEOp[Op(op).name]) if stream else PPEOp.NONE
        expect(at + top, partial=bits(PartialSumWrite(cfg), en=partial, addr=row))
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
    "V on the partial sums of K": ("self.inject.addr.eq(below.index + Mux(below.op == Op.V, "
                                   "cfg.d, 0))", "self.inject.addr.eq(below.index)"),
    "C1 without its cluster": ("Mux(known.residual, self.ct1, 0)", "0"),
    "result one early": ("top_latency(cfg) - wait - 2", "top_latency(cfg) - wait - 3"),
    "partial scores": ("(below.op != Op.SCORE) & (below.op != Op.OUT)", "(below.op != Op.OUT)"),
}


test_mutants = each_found(Issue, MUTANTS, lambda block: check(CTAConfig(**CONFIGS["slices"]), 21, block))
