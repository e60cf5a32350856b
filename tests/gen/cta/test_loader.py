"""Loader: every element in its bank row and lane, under pauses of both streams; refused loads."""

import random

import numpy as np
import pytest
from amaranth.hdl import Signal

from gen.cta.loader import Loader
from model.cta.admission import Admission
from model.cta.config import CTAConfig
from model.cta.layout import Load, Target, beats, parameter_rows
from tests.gen.mutants import each_found
from tests.gen.native import simulate

CONFIGS = {"plain": dict(b=4, d=8, l=2, n=6, tokens=9), "slices": dict(b=2, d=16, dw=48, l=3, n=5, sets=3),
           "narrow beats": dict(b=2, d=32, l=1, n=4, lanes=4, sets=2),
           "fast": dict(b=2, d=16, dw=64, l=3, n=5, tokens=7, sets=2, products="fast")}


def extent(cfg, target):
    """Rows of a target."""
    if target is Target.TOKEN:
        return cfg.tokens
    if target is Target.PARAMETER:
        return parameter_rows(cfg)[-1][1]
    return cfg.d if target < Target.A0 else cfg.l


def writes(cfg, load):
    """What must be written: (kind, address, lane group, beat), a beat each, in order."""
    d, T, target = cfg.d, cfg.slices, load.target
    words = list(beats(cfg, load))
    if target is Target.PARAMETER:
        return [("parameter", load.set, load.base + i, word) for i, word in enumerate(words)]
    token = target is Target.TOKEN
    kind, at = ("token", 0) if token else ("weight", load.set * cfg.weight_rows)
    if Target.WQ <= target < Target.A0:
        at += (target - Target.WQ) * T * d
    elif target >= Target.A0:
        at += 3 * T * d + (target - Target.A0) * T * cfg.l
    # Slice by slice, and in each slice group by group.
    order = [(row, part, group) for row in range(len(load.rows)) for part in range(T)
             for group in range(cfg.groups)]
    stride = cfg.token_stride if token else extent(cfg, target)

    def address(part, row):
        if token and cfg.program.fast:      # slices of a pair side by side, odd tokens the other way round
            return 2 * (part // 2 * stride + row) + (part % 2 ^ row % 2)
        return part * stride + row

    return [(kind, at + address(part, load.base + row), group, word)
            for (row, part, group), word in zip(order, words, strict=True)]


def random_load(cfg, rng, target, legal=True):
    first, last = 0, extent(cfg, target)
    if target is Target.PARAMETER:
        first, last = rng.choice(parameter_rows(cfg))
    rows = rng.choice((1, rng.randint(1, min(9, last - first))))
    base = rng.choice((first, last - rows, rng.randint(first, last - rows)))
    index = rng.randrange(cfg.sets) if target is not Target.TOKEN else 0
    if not legal:
        kind = rng.random()
        if kind < 0.4:
            base = last - rows + 1
        elif kind < 0.6 and first:
            base = first - 1
        else:
            index = rng.randint(cfg.sets, 15)
    shape = (rows,) if target is Target.PARAMETER else (rows, cfg.dw)
    bound = 2 ** 31 if target is Target.PARAMETER else 2 ** 15
    random = np.random.default_rng(rng.getrandbits(32))
    return Load(target, index, base, random.integers(-bound, bound, shape))


def check(cfg, seed, stall=0.0, block=Loader, count=30):
    """Loads one after another. Without pauses a beat goes in every cycle after the command's."""
    dut, rng = block(cfg), random.Random(seed)

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        golden, tokens = Admission(cfg), [Target.TOKEN] * 6
        for index in range(count):
            load = random_load(cfg, rng, rng.choice([*Target, *tokens]),
                               rng.random() < 0.8)
            legal = golden.load(load.target, load.set, load.base, len(load.rows))
            note = f"seed {seed}, load {index} to {load.target.name}"
            await run(ctx, load, legal, note)
            assert (ctx.get(dut.error), ctx.get(dut.tokens)) == (golden.error, golden.rows), note
            if rng.random() < 0.3:             # a job is taken; one that starts uses the tokens
                starts = rng.getrandbits(1)
                ctx.set(dut.clear_error, 1)
                ctx.set(dut.used, starts)
                await ctx.tick()
                ctx.set(dut.clear_error, 0)
                ctx.set(dut.used, 0)
                golden.error = False
                if starts:
                    golden.reset()
                assert ctx.get(dut.error) == 0, f"seed {seed}"
                assert ctx.get(dut.tokens) == golden.rows, note
            if rng.random() < 0.6:             # a job runs: what it still reads is left alone
                claim = {name: rng.getrandbits(1) for name in ("tokens", "a", "kv", "q")}
                claim["set"] = rng.randrange(cfg.sets)
                target, chosen = rng.choice(list(Target)), rng.randrange(cfg.sets)
                part = ("q" if target in (Target.WQ, Target.PARAMETER) else
                        "a" if target >= Target.A0 else "kv")
                held = (claim["tokens"] if target is Target.TOKEN
                        else claim[part] and chosen == claim["set"])
                note = f"seed {seed}: {target.name} of set {chosen}, {claim}"
                ctx.set(dut.claim, claim)
                ctx.set(dut.load.payload, {"target": target, "set": chosen, "rows": 1})
                ctx.set(dut.load.valid, 1)
                assert ctx.get(dut.load.ready) == 1, note
                await ctx.tick()
                ctx.set(dut.load.valid, 0)
                golden.load(target, chosen, 0, 1)
                for _ in range(3):
                    assert (ctx.get(dut.data.ready), ctx.get(dut.busy)) == (not held, 1), note
                    await ctx.tick()
                ctx.set(dut.claim, {})
                assert ctx.get(dut.data.ready) == 1, note
                ctx.set(dut.data.valid, 1)
                beats_due = 1 if target is Target.PARAMETER else cfg.slices * cfg.groups
                for _ in range(beats_due):
                    await ctx.tick()
                ctx.set(dut.data.valid, 0)
                await ctx.tick()
                assert ctx.get(dut.busy) == 0, note
            if rng.random() < 0.2:             # a job waits: nothing is taken
                ctx.set(dut.enable, 0)
                ctx.set(dut.load.valid, 1)
                for _ in range(3):
                    assert ctx.get(dut.load.ready) == 0, f"seed {seed}"
                    await ctx.tick()
                ctx.set(dut.load.valid, 0)
                ctx.set(dut.enable, 1)

    async def run(ctx, load, legal, note):
        words, due = list(beats(cfg, load)), writes(cfg, load) if legal else []
        command = {"target": load.target, "set": load.set, "base": load.base,
                   "rows": len(load.rows)}
        offered = False
        while True:                            # data may wait at the port before its command
            ctx.set(dut.load.payload, command)
            ctx.set(dut.data.payload, words[0])
            ctx.set(dut.data.valid, rng.getrandbits(1))
            offered = offered or rng.random() >= stall
            ctx.set(dut.load.valid, offered)
            assert ctx.get(dut.data.ready) == 0, note
            taken = offered and ctx.get(dut.load.ready)
            await ctx.tick()
            if taken:
                break
        ctx.set(dut.load.valid, rng.getrandbits(1))      # the next command waits
        offered, moved, written = False, None, 0
        while words or moved is not None:
            assert ctx.get(dut.busy) == 1 or not (legal or words), note
            assert ctx.get(dut.load.ready) == 0 or not (words or legal), note
            want = due[moved] if legal and moved is not None else None
            got = [(kind, *at, ctx.get(dut.beat)) for kind, en, at in (
                ("token", dut.write.token, (ctx.get(dut.write.addr), ctx.get(dut.group))),
                ("weight", dut.write.weight, (ctx.get(dut.write.addr), ctx.get(dut.group))),
                ("parameter", dut.p_en, (ctx.get(dut.p_set), ctx.get(dut.p_addr))),
            ) if ctx.get(en)]
            assert got == ([want] if want else []), note
            offered = offered or (bool(words) and rng.random() >= stall)
            ctx.set(dut.data.valid, offered)
            ctx.set(dut.data.payload, words[0] if offered else rng.getrandbits(64))
            # Weight banks that are read: a beat for one of them waits, all others go on.
            reads = [rng.random() < stall for _ in range(cfg.groups)]
            for port, value in zip(dut.hold, reads):
                ctx.set(port, value)
            waiting = ("weight", "token") if cfg.load_queue else ("weight",)
            free = not (words and legal and due[written][0] in waiting and reads[due[written][2]])
            if words:
                assert ctx.get(dut.data.ready) == free, note
            moved = None
            if offered and free:
                words.pop(0)
                moved, written, offered = written, written + 1, False
            ctx.set(dut.load.valid, 0)
            await ctx.tick()
            ctx.set(dut.data.valid, 0)
        for port in dut.hold:
            ctx.set(port, 0)
        assert (ctx.get(dut.busy), ctx.get(dut.data.ready)) == (0, 0), note

    simulate(dut, bench)


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("name", CONFIGS)
def test_loads(name, stall):
    check(CTAConfig(**CONFIGS[name]), 81, stall)


@pytest.mark.parametrize("fields, rows", [
    ({"target": 9, "rows": 2}, 2), ({"target": 15, "rows": 1}, 1),
    ({"target": 0, "base": 65535, "rows": 65535}, None), ({"target": 2, "base": 8, "rows": 1}, 1)])
def test_illegal_loads_write_nothing(fields, rows):
    """Their beats are dropped, as many as announced; the error stays until a job reports it."""
    cfg = CTAConfig(**CONFIGS["plain"])
    dut = Loader(cfg)

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        ctx.set(dut.load.payload, fields)
        ctx.set(dut.load.valid, 1)
        ctx.set(dut.data.valid, 1)
        await ctx.tick()
        ctx.set(dut.load.valid, 0)
        taken = 0
        for _ in range(20):
            taken += ctx.get(dut.data.ready)
            assert not (ctx.get(dut.write.token) or ctx.get(dut.write.weight) or ctx.get(dut.p_en))
            assert ctx.get(dut.error) == 1
            await ctx.tick()
        assert taken == (20 if rows is None else rows * cfg.groups * cfg.slices)

    simulate(dut, bench)


def test_no_rows():
    """A load of no rows takes no beat and is over at once."""
    cfg = CTAConfig(**CONFIGS["plain"])
    dut = Loader(cfg)

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        ctx.set(dut.load.payload, {"target": Target.WQ, "base": cfg.d, "rows": 0})
        ctx.set(dut.load.valid, 1)
        for _ in range(4):
            await ctx.tick()
            assert (ctx.get(dut.busy), ctx.get(dut.data.ready), ctx.get(dut.error)) == (0, 0, 0)
            assert ctx.get(dut.load.ready) == 1

    simulate(dut, bench)


def test_reset_in_mid_load():
    """A reset drops the load; the next one is untouched by it."""
    cfg, reset = CTAConfig(**CONFIGS["slices"]), Signal()
    dut = Loader(cfg)

    async def bench(ctx):
        ctx.set(dut.enable, 1)
        ctx.set(dut.load.payload, {"target": Target.WK, "set": 9, "rows": 4})
        ctx.set(dut.load.valid, 1)
        ctx.set(dut.data.valid, 1)
        for _ in range(5):
            await ctx.tick()
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        assert (ctx.get(dut.busy), ctx.get(dut.error)) == (0, 0)
        ctx.set(dut.load.payload, {"target": Target.TOKEN, "base": 3, "rows": 1})
        await ctx.tick()
        ctx.set(dut.load.valid, 0)
        rows = []
        for _ in range(8):
            await ctx.tick()
            if ctx.get(dut.write.token):
                rows.append((ctx.get(dut.write.addr), ctx.get(dut.group)))
        assert rows == [(3 + cfg.token_stride * part, group) for part in range(3) for group in range(2)]

    simulate(dut, bench, reset)


MUTANTS = {
    "one row too many": ("(after <= limit)", "(after <= limit + 1)"),
    "sets not checked": ("(command.set < cfg.sets)", "1"),
    "illegal rows written": ("take & is_weight & ~drop", "take & is_weight"),
    "slices in a row": ("addr.eq(addr + Mux(stays, 0, step))", "addr.eq(addr + 1)"),
    "slices of a pair apart": ("Mux(stays, 0, step)", "step"),
    "one order for all tokens": ("addr[0] ^ part[0]", "part[0]"),
    "weights side by side": ("Mux(is_token, Cat(addr[0] ^ part[0], addr), addr)",
                             "Cat(addr[0] ^ part[0], addr)"),
    "set 0": ("Mux(weight, set_base, 0)),\n            addr", "0),\n            addr"),
    "write address one late": ("self.write.addr.eq(row)", "self.write.addr.eq(self.write.addr)"),
    "beats without a command": ("self.data.ready.eq(may)", "self.data.ready.eq(1)"),
    "parameter rows in gaps": ("(~parameter | Cat(meant).any())", "1"),
    "gaps between tokens": ("(command.base <= self.tokens)", "1"),
    "tokens by the last load": ("& (after > self.tokens)", ""),
    "tokens never used": ("self.tokens.eq(0)", "self.tokens.eq(self.tokens)"),
    "tokens that are read": ("(is_token & claim.tokens)", "0"),
    "A that is read": ("Mux(is_a, claim.a, claim.kv)", "claim.kv"),
    "weights of any set held": ("(which == claim.set)", "1"),
    "weights that are read": ("waits & Array(self.hold)[group]", "0"),
    "all waits for weights": ("is_weight | (is_token if cfg.load_queue else 0)", "1"),
    "another group's weights": ("Array(self.hold)[group]", "self.hold[0]"),
    "error never cleared": ("self.error.eq(0)", "self.error.eq(self.error)"),
}


def mutated(block):
    check(CTAConfig(**CONFIGS["slices"]), 81, 0.3, block, count=250)
    check(CTAConfig(**CONFIGS["fast"]), 81, 0.3, block, count=30)


test_mutants = each_found(Loader, MUTANTS, mutated)
