"""Control: when a job starts, which tokens it lets in, what it counts and reports, what it refuses."""

import random

import pytest
from amaranth.hdl import Signal

from gen.lookup.control import Control
from gen.lookup.words import JobWord, LoadCommand, StatusWord
from model.lookup.config import LookupConfig
from model.lookup.job import ErrorCode, Saturation
from model.lookup.layout import HOST_LANES, JOB_FIELDS, LOAD_FIELDS, STATUS_FIELDS
from model.words import pack_fields
from tests.gen.mutants import each_found
from tests.gen.native import simulate

CONFIGS = {"one beat a token": LookupConfig(d=8, h=2, tau=2, lanes=1),
           "three": LookupConfig(d=24, h=2, tau=2, lanes=32),
           "no tile": LookupConfig(d=24, h=2, tau=2, lanes=32, tile=False)}
MOST = (1 << 16) - 1


def random_word(rng, cfg):
    """A legal job word of few tokens."""
    word = {name: rng.getrandbits(width) for name, width in JOB_FIELDS}
    word["order"] &= cfg.tile
    most = LookupConfig().fmt.mix.max
    return word | {"tokens": rng.choice((1, 2, rng.randint(1, 9))),
                   "gain": rng.choice((0, most, rng.randint(0, most))),
                   "skip": rng.choice((0, most, rng.randint(0, most)))}


def check(cfg, seed, block=Control, count=40):
    """Legal and refused jobs one after another, with resets in between."""
    dut, rng, reset = block(cfg), random.Random(seed), Signal()

    async def bench(ctx):
        for index in range(count):
            word, code = random_word(rng, cfg), ErrorCode.NONE
            if not cfg.tile and rng.random() < 0.2:
                code = ErrorCode.ORDER         # comes behind all others
                word["order"] = 1
            if rng.random() < 0.2:
                code = ErrorCode.FIELD
                word[rng.choice(("gain", "skip"))] = rng.choice(
                    (cfg.fmt.mix.max + 1, (1 << 16) - 1, rng.randint(cfg.fmt.mix.max + 1, 65535)))
            if rng.random() < 0.2:
                code = ErrorCode.TOKENS
                word["tokens"] = 0
            if rng.random() < 0.1:
                code = ErrorCode.LOAD          # comes before the other
            note = f"seed {seed}, job {index}, {code.name}"
            await accept(ctx, word, note)
            if rng.random() < 0.1:             # a reset at any point leaves it idle
                for _ in range(rng.randrange(9)):
                    ctx.set(dut.y_token, rng.random() < 0.2)
                    await ctx.tick()
                ctx.set(reset, 1)
                await ctx.tick()
                ctx.set(reset, 0)
                ctx.set(dut.y_token, 0)
                assert (ctx.get(dut.idle), ctx.get(dut.status.valid)) == (1, 0), note
                assert ctx.get(dut.x_enable) == 0, note
            else:
                await run(ctx, word, code, note)

    def drive(ctx, counts=None):
        """Random events and table beats; ``counts`` adds them up where they count."""
        for i, port in enumerate(dut.events):
            value = rng.choice((0, 0, MOST, rng.randint(0, MOST)))
            ctx.set(port, value)
            if counts is not None:
                counts[i] += value
        beat = rng.getrandbits(1)
        ctx.set(dut.table_beat, beat)
        return beat

    async def accept(ctx, word, note):
        ctx.set(dut.job.payload, word)
        offered = False
        while True:
            offered = offered or rng.random() < 0.5
            loading = rng.random() < 0.5       # goes before the job
            ctx.set(dut.load_busy, loading)
            # A load that is offered decides nothing here; one that is taken makes the job wait.
            ctx.set(dut.load_offered, rng.getrandbits(1))
            late = not loading and rng.random() < 0.3
            ctx.set(dut.load_taken, late)
            ctx.set(dut.job.valid, offered)
            drive(ctx)                         # of no job: they do not count
            assert (ctx.get(dut.idle), ctx.get(dut.job.ready)) == (1, not loading), note
            assert (ctx.get(dut.take), ctx.get(dut.start), ctx.get(dut.x_enable)) == (0, 0, 0), note
            await ctx.tick()
            if offered and not loading:
                break
        ctx.set(dut.load_taken, 0)
        waits = [rng.choice(((1, 0), (0, 1), (1, 1))) for _ in range(rng.randrange(6) if late else 0)]
        for pair in waits:                     # its loads, and those that follow at once
            ctx.set(dut.load_busy, pair[0])
            ctx.set(dut.load_offered, pair[1])
            drive(ctx)                         # of no job: they do not count
            assert (ctx.get(dut.take), ctx.get(dut.start), ctx.get(dut.loads)) == (0, 0, 1), note
            await ctx.tick()
        ctx.set(dut.load_busy, rng.getrandbits(1) if not late else 0)
        ctx.set(dut.load_offered, rng.getrandbits(1) if not late else 0)
        ctx.set(dut.job.payload, {"tokens": 7})    # the word is kept
        ctx.set(dut.job.valid, rng.getrandbits(1))

    async def run(ctx, word, code, note):
        ctx.set(dut.load_error, code is ErrorCode.LOAD)
        drive(ctx)
        assert (ctx.get(dut.take), ctx.get(dut.start)) == (1, code is ErrorCode.NONE), note
        assert {name: ctx.get(dut.word[name]) for name in word} == word, note
        await ctx.tick()
        counts, cycles, beats = [0] * len(Saturation), 0, 0
        if code is ErrorCode.NONE:
            cycles, beats = await tokens(ctx, word["tokens"], counts, note)
            # Stages without z may go on, and the last count comes a cycle later.
            for left in reversed(range(rng.randint(2, 6))):
                ctx.set(dut.projecting, left > 1)
                drive(ctx, counts)
                assert (ctx.get(dut.status.valid), ctx.get(dut.x_enable)) == (0, 0), note
                await ctx.tick()
        for port in dut.events:
            ctx.set(port, 0)
        if code is ErrorCode.NONE:             # it is added
            assert (ctx.get(dut.idle), ctx.get(dut.status.valid)) == (0, 0), note
            await ctx.tick()
        want = {"error": code, "cycles": cycles, "table_bytes": beats * cfg.lanes,
                **{f"sat_{kind.name.lower()}": counts[kind] for kind in Saturation}}
        for left in reversed(range(rng.randint(1, 5))):    # the status waits for the host
            ctx.set(dut.status.ready, left == 0)
            status = ctx.get(dut.status.payload)
            assert ctx.get(dut.status.valid) == 1, note
            assert {name: status[name] for name in want} == want, note
            assert (ctx.get(dut.idle), ctx.get(dut.job.ready)) == (0, 0), note
            assert ctx.get(dut.x_enable) == 0, note
            if left == 0:
                ctx.set(dut.job.valid, 0)
            await ctx.tick()
        ctx.set(dut.status.ready, 0)
        assert (ctx.get(dut.idle), ctx.get(dut.status.valid)) == (1, 0), note

    async def tokens(ctx, count, counts, note):
        """Tokens in and out; gives cycles and table beats of the job."""
        x_left, y_left, cycles, beats = count * cfg.d // HOST_LANES, count, 1, 0
        pace = rng.choice((0.1, 0.5, 1.0))
        while y_left:
            cycles += 1
            beats += drive(ctx, counts)
            assert ctx.get(dut.x_enable) == (x_left > 0), note
            assert (ctx.get(dut.idle), ctx.get(dut.job.ready), ctx.get(dut.status.valid),
                    ctx.get(dut.take), ctx.get(dut.start)) == (0, 0, 0, 0, 0), note
            sent = x_left > 0 and rng.random() < pace
            # A token leaves after it has come.
            left = rng.random() < pace and y_left * cfg.d // HOST_LANES > x_left
            ctx.set(dut.x_sent, sent)
            ctx.set(dut.y_token, left)
            x_left -= sent
            y_left -= left
            await ctx.tick()
        ctx.set(dut.x_sent, 0)
        ctx.set(dut.y_token, 0)
        return cycles, beats

    simulate(dut, bench, reset)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CONFIGS)
def test_jobs(name, seed):
    check(CONFIGS[name], seed)


@pytest.mark.parametrize("d", [8, 2048])
def test_most_tokens(d):
    """The beats of the longest job fit their counter: the stream stays open."""
    dut = Control(LookupConfig(d=d, h=1, tau=1))

    async def bench(ctx):
        ctx.set(dut.job.payload, {"tokens": 65535})
        ctx.set(dut.job.valid, 1)
        await ctx.tick()
        assert ctx.get(dut.start) == 1
        ctx.set(dut.x_sent, 1)
        for _ in range(600):
            await ctx.tick()
            assert ctx.get(dut.x_enable) == 1

    simulate(dut, bench)


@pytest.mark.parametrize("layout, fields", [(JobWord, JOB_FIELDS), (LoadCommand, LOAD_FIELDS),
                                            (StatusWord, STATUS_FIELDS)])
def test_words(layout, fields):
    """The fields of a word stand where software packs them."""
    for name, width in fields:
        ones = pack_fields(fields, {name: (1 << width) - 1})
        assert ones >> layout[name].offset == (1 << width) - 1 and layout[name].width == width


MUTANTS = {
    "jobs beside a load": ("self.job.ready.eq(~self.load_busy)", "self.job.ready.eq(1)"),
    "no tokens": ("word.tokens == 0", "0"),
    "load error forgotten": ("(ErrorCode.LOAD, self.load_error)", "(ErrorCode.LOAD, 0)"),
    "order not checked": ("(ErrorCode.ORDER, word.order)", "(ErrorCode.ORDER, 0)"),
    "order first": ("reversed((", "iter(("),
    "fields not checked": ("Cat(unfit).any()", "0"),
    "does not wait for loads": ("late.eq(self.load_taken)", "late.eq(0)"),
    "waits for any load": ("late.eq(self.load_taken)", "late.eq(1)"),
    "a load that follows is left": ("(self.load_busy | self.load_offered)", "self.load_busy"),
    "events before the start": ("~self.idle & ~checking", "~self.idle & ~self.take"),
    "counts of the job before": ("report.eq(0)", "report.error.eq(0)"),
    "error of the job before": ("report.eq(0)", "report.cycles.eq(0)"),
    "a beat too many": ("word.tokens * (cfg.d // HOST_LANES)",
                        "word.tokens * (cfg.d // HOST_LANES) + 1"),
    "open without end": ("running & (x_left != 0)", "running"),
    "a token too few": ("m.If(y_left == 1)", "m.If(y_left <= 2)"),
    "late events lost": ('m.next = "SETTLE"', 'm.next = "STATUS"'),
    "last sum lost": ('m.next = "LAST SUM"', 'm.next = "STATUS"'),
    "stages beyond the last y lost": ("m.If(~self.projecting)", "m.If(1)"),
    "events of no job": ("~self.idle & ~checking", "~checking"),
    "cycles from the first token": ("running | self.start", "running"),
    "beats of no job": ("running & self.table_beat", "self.table_beat"),
    "beats, not bytes": ("report.table_bytes + cfg.lanes", "report.table_bytes + 1"),
}


def mutated(block):
    for seed in range(3):
        for name in ("three", "no tile"):
            check(CONFIGS[name], seed, block)


test_mutants = each_found(Control, MUTANTS, mutated)
