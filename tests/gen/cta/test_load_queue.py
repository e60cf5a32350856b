"""Load queue: beats leave in their order, never when the banks are read, and none is lost when it is full."""

import random
from collections import deque

import pytest
from amaranth.hdl import Signal

from gen.cta.load_queue import LoadQueue
from model.cta.config import CTAConfig
from tests.gen.mutants import each_found
from tests.gen.native import simulate

CONFIGS = {"wide": dict(b=4, d=16, dw=64, l=2, n=12, lanes=16, products="fast"),
           "narrow": dict(b=2, d=8, dw=16, l=2, n=300, lanes=4, products="fast")}


def check(cfg, seed, block=LoadQueue, cycles=900, resets=0.0):
    """A host that takes a beat whenever it may, in spells; banks that are read in spells."""
    dut, rng, reset = block(cfg), random.Random(seed), Signal()
    fmt = cfg.fmt.token

    async def bench(ctx):
        inside, take, full_seen, restarted, hold, spell, eager = deque(), None, 0, 0, 0, 0, 1
        gone = None                     # what leaves the memory in this cycle, to show in the next
        for cycle in range(cycles):
            note = f"seed {seed}, cycle {cycle}"
            if not spell:
                hold, eager, spell = rng.random() < 0.6, rng.random() < 0.8, rng.randint(1, 40)
            spell -= 1
            put = take                  # taken from the host a cycle ago
            token = put is not None and put[0]
            ctx.set(dut.put, {"token": token, "weight": put is not None and not token,
                              "addr": put[1] if put else rng.getrandbits(6)})
            ctx.set(dut.beat, sum((v & 0xFFFF) << 16 * i for i, v in enumerate(put[2])) if put else
                    rng.getrandbits(16 * cfg.lanes))
            ctx.set(dut.hold, hold)

            get = dut.get
            shown = (ctx.get(get.token), ctx.get(get.weight))
            assert shown == ((int(gone[0]), int(not gone[0])) if gone else (0, 0)), note
            if gone:
                got = ctx.get(dut.taken)
                values = [(got >> 16 * i & 0xFFFF) for i in range(cfg.lanes)]
                assert (ctx.get(get.addr), values) == (gone[1], [v & 0xFFFF for v in gone[2]]), note
            assert ctx.get(dut.busy) == bool(inside or gone), note
            full = len(inside) + (put is not None) >= cfg.load_queue
            assert ctx.get(dut.full) == full, note
            full_seen += full

            gone = inside.popleft() if inside and not hold else None
            if put is not None:
                inside.append(put)
            assert len(inside) <= cfg.load_queue, note
            take = None
            if not full and eager:
                take = (bool(rng.getrandbits(1)), rng.getrandbits(6),
                        [rng.choice((fmt.min, fmt.max, rng.randint(fmt.min, fmt.max)))
                         for _ in range(cfg.lanes)])
            again = rng.random() < resets
            ctx.set(reset, again)
            await ctx.tick()
            if again:
                inside.clear()
                gone = take = None
                restarted += 1
        assert full_seen > 20 and (restarted > 3 or not resets), "the sweep is too tame"

    simulate(dut, bench, reset)


@pytest.mark.parametrize("name", CONFIGS)
def test_queue(name):
    check(CTAConfig(**CONFIGS[name]), 7)


def test_reset():
    check(CTAConfig(**CONFIGS["wide"]), 8, cycles=3000, resets=0.01)


MUTANTS = {
    "no room for the beat under way": ("level + puts >= depth", "level >= depth"),
    "leaves while banks are read": ("(level != 0) & ~self.hold", "(level != 0)"),
    "out of nothing": ("(level != 0) & ~self.hold", "~self.hold"),
    "the last one again": ("head.eq(head + leaves)", "head.eq(head)"),
    "tokens as weights": ("self.get.token.eq(here & token)", "self.get.token.eq(0)"),
    "over before it is": ("(level != 0) | here", "level != 0"),
    "small numbers": ("elements.word_select(at, size).as_signed()", "elements.word_select(at, size)"),
}


test_mutants = each_found(LoadQueue, MUTANTS, lambda block: check(CTAConfig(**CONFIGS["wide"]), 7, block))
