"""Loader: every beat at its target and address, table beats put together, refused loads, resets."""

import random

import numpy as np
import pytest
from amaranth.hdl import Signal

from gen.lookup.loader import Loader
from gen.lookup.words import BEAT
from model.lookup import stimulus
from model.lookup.admission import is_legal
from model.lookup.config import LookupConfig
from model.lookup.layout import Load, Target, shift_rows, table_beats, weight_loads
from model.lookup.weight_layout import weight_beats
from tests.gen.mutants import each_found
from tests.gen.native import simulate

SMALL = dict(h=3, tau=2, block=4, multipliers=8)
CONFIGS = {
    "external": LookupConfig(d=16, lanes=8, **SMALL),
    "table beat = host beat": LookupConfig(d=24, lanes=16, tables="internal", **SMALL),
    "of two host beats": LookupConfig(d=24, lanes=32, tables="internal", **SMALL),
    "of four": LookupConfig(d=40, lanes=64, tables="internal", **SMALL),
    "of a part of one": LookupConfig(d=8, lanes=2, tables="internal", **SMALL),
    "dense": LookupConfig(d=8, lanes=8, projection="dense", **SMALL),
}


def parts(cfg):
    """Host beats of a table beat."""
    return -(-8 * cfg.lanes // BEAT)


def extent(cfg, target):
    """Beats of a target."""
    internal = cfg.tables == "internal"
    return {Target.WEIGHT: weight_beats(cfg), Target.Z_BIAS: cfg.h * cfg.tau, Target.OUT_BIAS: cfg.d,
            Target.SHIFT_S: cfg.h, Target.SHIFT: shift_rows(cfg)[-1][1],
            Target.TABLE: cfg.rows * cfg.row_beats * parts(cfg) * internal}.get(target, 0)


def writes(cfg, load):
    """What each beat must write in the cycle after its transfer: (target, address, data) or None."""
    if load.target != Target.TABLE:
        return [(load.target, load.base + i, beat) for i, beat in enumerate(load.beats)]
    size, due = parts(cfg), []
    for i in range(0, len(load.beats), size):
        whole = sum(beat << (BEAT * j) for j, beat in enumerate(load.beats[i:i + size]))
        due += [None] * (size - 1)
        due.append((Target.TABLE, (load.base + i) // size, whole % (1 << 8 * cfg.lanes)))
    return due


def random_load(cfg, rng):
    """(load, legal): a load of a random target, one in four illegal."""
    target = rng.choice(list(Target))
    limit, step = extent(cfg, target), parts(cfg) if target is Target.TABLE else 1
    kind = rng.randrange(7) if limit else 0
    if kind == 0:                              # no such target, not even for no beat
        target = rng.choice((Target.TABLE, 6, 15)) if cfg.tables == "external" else 15
        count = rng.choice((int(target == Target.TABLE), 3))
        base = rng.choice((0, (1 << 28) - 1))
    else:
        count = step * rng.randint(0, min(9, limit // step))
        base = rng.choice((0, limit - count, step * rng.randint(0, (limit - count) // step)))
        if kind == 1:
            base = limit - count + 1
        if target is Target.SHIFT and kind:    # at the ends of what means something, or across
            first, last = rng.choice(shift_rows(cfg))
            base = max(0, rng.choice((first - 1, first, rng.randint(first, last), last)))
            count = rng.randint(0, 3)
        if kind == 2 and step > 1:             # parts of a table beat, at either end or at both
            first, last = rng.choice(((0, 1), (1, 0), (1, 1)))
            base = base - first * rng.randrange(1, step) if base else first * rng.randrange(1, step)
            count = max(0, count - last * rng.randrange(1, step))
    return (Load(target, base, [rng.getrandbits(BEAT) for _ in range(count)]),
            is_legal(cfg, target, base, count))


def command(load):
    return {"target": load.target, "base": load.base, "beats": len(load.beats)}


def written(ctx, dut):
    """The write of this cycle as :func:`writes` lists it."""
    en = ctx.get(dut.en)
    assert en & (en - 1) == 0, "two targets at once"
    if not en:
        return None
    target = en.bit_length() - 1
    return target, ctx.get(dut.addr), ctx.get(dut.table if target == Target.TABLE else dut.beat)


async def send(ctx, dut, rng, load, due, stall, note):
    """One load with pauses on both streams; every cycle is checked."""
    beats, offered = list(load.beats), False
    ctx.set(dut.load.payload, command(load))
    while True:                                # data may wait at the port before its command
        ctx.set(dut.data.payload, rng.getrandbits(BEAT))
        ctx.set(dut.data.valid, rng.getrandbits(1))
        offered = offered or rng.random() >= stall
        ctx.set(dut.load.valid, offered)
        assert (ctx.get(dut.data.ready), ctx.get(dut.load.ready)) == (0, 1), note
        assert ctx.get(dut.en) == 0, note
        await ctx.tick()
        if offered:
            break
    # The next command waits at the port, and goes in only when the last beat is written.
    ctx.set(dut.load.payload, {"target": Target.OUT_BIAS})
    want, offered, due = None, False, list(due)
    while beats or want:
        assert written(ctx, dut) == want, note
        assert (ctx.get(dut.busy), ctx.get(dut.load.ready)) == (1, 0), note
        assert ctx.get(dut.data.ready) == bool(beats), note
        ctx.set(dut.load.valid, rng.getrandbits(1))
        offered = bool(beats) and (offered or rng.random() >= stall)
        ctx.set(dut.data.valid, offered)
        ctx.set(dut.data.payload, beats[0] if offered else rng.getrandbits(BEAT))
        want = None
        if offered:
            beats.pop(0)
            want, offered = due.pop(0), False
        await ctx.tick()
    ctx.set(dut.load.valid, 0)
    ctx.set(dut.data.valid, 0)
    assert (ctx.get(dut.busy), ctx.get(dut.en), ctx.get(dut.data.ready)) == (0, 0, 0), note


def check(cfg, seed, stall=0.0, block=Loader, count=60):
    """Random loads. Without pauses a beat goes in every cycle after the command's."""
    dut, rng, reset = block(cfg), random.Random(seed), Signal()

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        error = False
        for index in range(count):
            load, legal = random_load(cfg, rng)
            note = f"seed {seed}, load {index}: {command(load)}"
            due = writes(cfg, load) if legal else [None] * len(load.beats)
            await send(ctx, dut, rng, load, due, stall, note)
            error = error or not legal
            assert ctx.get(dut.error) == error, note
            if rng.random() < 0.3:
                ctx.set(dut.clear_error, 1)
                await ctx.tick()
                ctx.set(dut.clear_error, 0)
                error = False
                assert ctx.get(dut.error) == 0, note
            if rng.random() < 0.2:             # a job runs: nothing is taken
                ctx.set(dut.enable, 0)
                ctx.set(dut.load.valid, 1)
                for _ in range(3):
                    assert (ctx.get(dut.load.ready), ctx.get(dut.busy)) == (0, 0), note
                    await ctx.tick()
                ctx.set(dut.load.valid, 0)
                ctx.set(dut.enable, 1)
            if rng.random() < 0.1:             # a load that a reset cuts off
                ctx.set(dut.load.payload, {"target": rng.randrange(16), "beats": 9})
                ctx.set(dut.load.valid, 1)
                ctx.set(dut.data.valid, 1)
                for _ in range(rng.randint(1, 8)):
                    await ctx.tick()
                ctx.set(reset, 1)
                await ctx.tick()
                ctx.set(reset, 0)
                ctx.set(dut.load.valid, 0)
                ctx.set(dut.data.valid, 0)
                error = False
                assert (ctx.get(dut.busy), ctx.get(dut.en), ctx.get(dut.error)) == (0, 0, 0), note

    simulate(dut, bench, reset)


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("name", CONFIGS)
def test_loads(name, stall):
    check(CONFIGS[name], 21, stall)


@pytest.mark.parametrize("name", ["of two host beats", "of a part of one", "dense"])
def test_layer(name):
    """The loads of a layer are legal, fill the weight memory and bring every table beat."""
    cfg, rng = CONFIGS[name], random.Random(3)
    weights, _ = stimulus.random_job(cfg, np.random.default_rng(3), 1)
    dut, seen = Loader(cfg), []

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        for load in weight_loads(cfg, weights):
            due = writes(cfg, load)
            await send(ctx, dut, rng, load, due, 0.0, f"seed 3, {load.target.name}")
            seen.extend(write for write in due if write)
        assert ctx.get(dut.error) == 0

    simulate(dut, bench)
    if cfg.tables == "internal":
        got = [(addr, beat) for target, addr, beat in seen if target == Target.TABLE]
        assert got == list(enumerate(table_beats(cfg, weights.tables)))
    for target in (Target.WEIGHT, Target.Z_BIAS, Target.OUT_BIAS, Target.SHIFT_S):
        assert [addr for at, addr, _ in seen if at == target] == list(range(extent(cfg, target)))


def test_refused_load_takes_what_it_announced():
    """A command far beyond its target drops beats until a reset, and writes nothing."""
    dut = Loader(CONFIGS["external"])

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        ctx.set(dut.load.payload, {"target": Target.WEIGHT, "base": (1 << 28) - 1,
                                   "beats": (1 << 32) - 1})
        ctx.set(dut.load.valid, 1)
        ctx.set(dut.data.valid, 1)
        await ctx.tick()
        for _ in range(50):
            assert (ctx.get(dut.data.ready), ctx.get(dut.en), ctx.get(dut.error)) == (1, 0, 1)
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("base, count", [(1, 4), (0, 3), (3, 1), (2, 2), (1, 0), (4, 4)])
def test_parts_of_a_table_beat(base, count):
    """Only whole table beats go in; what is refused leaves no part behind for the next load."""
    cfg = CONFIGS["of four"]
    dut, rng = Loader(cfg), random.Random(8)
    legal = base % 4 == count % 4 == 0

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        for load, due in ((Load(Target.TABLE, base, [7] * count), legal),
                          (Load(Target.TABLE, 8, [1, 2, 3, 4]), True)):
            await send(ctx, dut, rng, load, writes(cfg, load) if due else [None] * count, 0.0,
                       f"base {base}, {count} beats")
            assert ctx.get(dut.error) == (not legal)

    simulate(dut, bench)


MUTANTS = {
    "table beats from half-way": ("(command.base | command.beats)", "command.beats"),
    "table beats to half-way": ("(command.base | command.beats)", "command.base"),
    "shifts in gaps": ("Cat(meant).any()", "1"),
    "parts everywhere": ("(command.target == Target.TABLE) & split", "split"),
    "one beat too many": ("(after <= limit)", "(after <= limit + 1)"),
    "one beat too few": ("(after <= limit)", "(after < limit)"),
    "targets not checked": ("(command.target < len(Target))", "1"),
    "illegal beats written": ("take & ~drop", "take"),
    "parts written": ("(~is_table | whole)", "1"),
    "highest part first": ("Cat(self.table[BEAT:], self.data.payload)",
                           "Cat(self.data.payload, self.table[:-BEAT])"),
    "address of a part": ("Mux(is_table, addr >> (parts - 1).bit_length(), addr)", "addr"),
    "table addresses everywhere": ("Mux(is_table, addr >>", "Mux(1, addr >>"),
    "beats without a command": ("self.data.ready.eq(busy)", "self.data.ready.eq(1)"),
    "commands over a write": ("~busy & ~self.busy", "~busy"),
    "commands in a job": ("self.enable & ~busy", "~busy"),
    "error never cleared": ("self.error.eq(0)", "self.error.eq(self.error)"),
}


test_mutants = each_found(Loader, MUTANTS, lambda block: check(
    CONFIGS["of two host beats"], 21, 0.3, block, count=600))
