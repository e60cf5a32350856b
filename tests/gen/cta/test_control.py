"""Control: when a job starts, is read out and reported; what is refused; what is counted."""

import inspect
import random

import pytest
from amaranth.hdl import Signal

from gen.cta.control import Control
from gen.cta.words import JobWord, LoadCommand, StatusWord
from model.cta.config import CTAConfig
from model.cta.job import ErrorCode, Mode, Saturation
from model.cta.layout import JOB_FIELDS, LOAD_FIELDS, STATUS_FIELDS, pack_fields
from model.cta.timing import tail
from tests.gen.mutants import edited
from tests.gen.native import simulate

CFG = CTAConfig(b=4, d=8, dw=16, l=2, n=20, tokens=31, exact=12, k0=15, k1=12, k2=6, sets=3)


FAULTS = [(ErrorCode.NONE, {})] * 12 + [
    (code, fault) for code, faults in {
        ErrorCode.TOKENS: [{"n": 0}, {"m": 0}, {"n": CFG.n + 1}, {"m": CFG.n + 1}, {"n": 32767},
                           {"n": 20, "m": CFG.tokens - 19, "cross": 1}],
        ErrorCode.CAPACITY: [{"mode": Mode.EXACT, "n": CFG.exact + 1, "m": 1, "cross": 1, "linear": 0},
                             {"mode": Mode.EXACT, "n": 1, "m": CFG.exact + 1, "cross": 1,
                              "linear": 0},
                             {"mode": Mode.EXACT, "cross": 0, "n": CFG.n, "m": CFG.n, "linear": 0},
                             {"mode": Mode.EXACT, "cross": 0, "n": 16, "m": 16, "linear": 1}],
        ErrorCode.WEIGHT_SET: [{"set": CFG.sets}, {"set": 7}],
        ErrorCode.SELF: [{"cross": 0, "n": 5, "m": 6}],
        ErrorCode.REUSE: [{"reuse": 1}] * 4,
        ErrorCode.LINEAR: [{"linear": 1, "mode": 0}, {"linear": 1, "mode": 1, "cross": 1, "n": 3, "m": 4}],
    }.items() for fault in faults]


def random_word(rng):
    """A legal job word."""
    exact, cross, linear = rng.getrandbits(1), rng.getrandbits(1), rng.random() < 0.2
    if linear:
        exact, cross = 1, 0
    most = CFG.queries if linear else CFG.exact if exact else CFG.n
    n = rng.randint(1, most)
    m = rng.randint(1, min(most, CFG.tokens - n)) if cross else n
    return {"mode": exact, "cross": cross, "tables": rng.getrandbits(1), "n": n, "m": m,
            "set": rng.randrange(CFG.sets), "shared_a": rng.getrandbits(1), "reuse": 0,
            "linear": int(linear), **{f"shift_{name}": rng.randrange(32) for name in "qkvs"},
            "shift_o": rng.randint(-8, 7)}


SIZES = ("mode", "cross", "n", "m", "linear")


def other(rng, sizes):
    """A legal word that reuses clusters of other sizes than are there."""
    while True:
        word = random_word(rng) | {"reuse": 1}
        if sizes != {name: word[name] for name in SIZES}:
            return word


def check(seed, block=Control):
    """Jobs with every fault among legal ones, with resets in between."""
    dut, rng, reset = block(CFG), random.Random(seed), Signal()
    # Ports with the most that each may count in a cycle.
    events = [2 ** len(port) - 1 for port in dut.events]

    async def bench(ctx):
        ctx.set(dut.ended, 1)
        held = None                            # the sizes of the clusters that are there
        for job, (code, fault) in enumerate(rng.sample(FAULTS, len(FAULTS))):
            word = other(rng, held) if code is ErrorCode.REUSE else random_word(rng) | fault
            if code is ErrorCode.NONE and held and rng.random() < 0.4:
                word |= held | {"reuse": 1}
            if rng.random() < 0.1:
                code = ErrorCode.LOAD          # comes before every other fault
            missing = code is ErrorCode.NONE and not word["reuse"] and rng.random() < 0.3
            # Enough rows, or one too few; where another fault is found first, any.
            rows = word["n"] + (word["m"] if word["cross"] else 0) - missing
            if code is not ErrorCode.NONE or word["reuse"]:
                rows = rng.randint(0, CFG.tokens)
            ctx.set(dut.tokens, rows)
            ctx.set(dut.load_error, code is ErrorCode.LOAD)
            await accept(ctx, word, f"seed {seed}, job {job}")
            if rng.random() < 0.1:             # a reset at any point leaves it idle
                for _ in range(rng.randrange(60)):
                    ctx.set(dut.ended, rng.random() < 0.1)
                    await ctx.tick()
                ctx.set(reset, 1)
                ctx.set(dut.ended, 1)
                await ctx.tick()
                ctx.set(reset, 0)
                held = None
                ctx.set(dut.sending, 0)
                ctx.set(dut.load_busy, 0)
                assert ctx.get(dut.job.ready) == 1 and ctx.get(dut.status.valid) == 0, f"seed {seed}"
                continue
            await run(ctx, word, ErrorCode.LOAD if missing else code,
                      f"seed {seed}, job {job}, {code.name}{' missing' * missing}")
            if code is ErrorCode.NONE and not missing:
                held = {name: word[name] for name in SIZES}

    async def accept(ctx, word, note):
        ctx.set(dut.job.payload, word)
        offered = False
        while True:
            offered = offered or rng.random() < 0.5
            busy = rng.random() < 0.5
            ctx.set(dut.load_busy, busy)
            # A load that is offered decides nothing here; one that is taken makes the job wait.
            ctx.set(dut.load_offered, rng.getrandbits(1))
            late = not busy and rng.random() < 0.3
            ctx.set(dut.load_taken, late)
            ctx.set(dut.job.valid, offered)
            drive_events(ctx)                  # of no job: they do not count
            assert ctx.get(dut.job.ready) == (not busy), note
            assert (ctx.get(dut.take), ctx.get(dut.start)) == (0, 0), note
            await ctx.tick()
            if offered and not busy:
                break
        ctx.set(dut.load_taken, 0)
        waits = [rng.choice(((1, 0), (0, 1), (1, 1))) for _ in range(rng.randrange(6) if late else 0)]
        for pair in waits:                     # its loads, and those that follow at once
            ctx.set(dut.load_busy, pair[0])
            ctx.set(dut.load_offered, pair[1])
            assert (ctx.get(dut.take), ctx.get(dut.start), ctx.get(dut.loads)) == (0, 0, 1), note
            assert ctx.get(dut.job.ready) == 0, note
            await ctx.tick()
        ctx.set(dut.load_busy, rng.getrandbits(1) if not late else 0)
        ctx.set(dut.load_offered, rng.getrandbits(1) if not late else 0)
        assert (ctx.get(dut.take), ctx.get(dut.job.ready)) == (0, 0), note
        await ctx.tick()
        assert ctx.get(dut.take) == 1, note
        ctx.set(dut.job.payload, {"n": 7})     # the word is kept
        ctx.set(dut.job.valid, 0)

    def drive_events(ctx, total=None):
        """Random counts; ``total`` adds them up if they count."""
        for i, (port, most) in enumerate(zip(dut.events, events)):
            value = rng.choice((0, 0, most, rng.randint(0, most)))
            ctx.set(port, value)
            if total is not None:
                total[i] += value
        zero = rng.choice((0, 0, rng.randint(0, CFG.b)))
        ctx.set(dut.zero_rows, zero)
        if total is not None:
            total[-1] += zero

    async def run(ctx, word, code, note):
        drive_events(ctx)
        # Two cycles after the job was taken.
        assert (ctx.get(dut.take), ctx.get(dut.start)) == (1, code is ErrorCode.NONE), note
        held = {name: ctx.get(dut.word[name]) for name in word}
        assert held == word, note
        total = [0] * (len(Saturation) + 1)
        waited = 0
        # Cycles since the job was taken: the last slot of the schedule, first K, first Q.
        key = 2 + rng.randrange(20)
        query = key + 1 + rng.randrange(20)
        end = query + 1 + rng.randrange(20)
        sizes, lost = ([rng.randint(0, CFG.n) for _ in range(3)] for _ in range(2))
        await ctx.tick()
        if code is ErrorCode.NONE:
            for cycle in range(2, end + tail(CFG) + 1):
                drive_events(ctx, total)
                waits = rng.random() < 0.3
                ctx.set(dut.held, waits)
                waited += waits
                ctx.set(dut.load_busy, 0)
                # K again and Q again do not count; k, overflow are looked at with the last O.
                ctx.set(dut.linear_begins, cycle == key or (cycle > key and rng.getrandbits(1)))
                ctx.set(dut.attention_begins, not word["linear"] and (
                    cycle == query or (cycle > query and rng.getrandbits(1))))
                ctx.set(dut.ended, cycle > end)
                final = cycle == end + tail(CFG)
                for ports, values in ((dut.k, sizes), (dut.overflow, lost)):
                    for port, value in zip(ports, values):
                        ctx.set(port, value if final else rng.randint(0, CFG.n))
                assert ctx.get(dut.read_out) == 0, f"{note}: cycle {cycle} of {end}"
                assert (ctx.get(dut.job.ready), ctx.get(dut.loads)) == (1, 1), note
                assert ctx.get(dut.status.valid) == 0, note
                await ctx.tick()
            drive_events(ctx)                  # too late to count
            ctx.set(dut.held, 1)
            assert (ctx.get(dut.status.valid), ctx.get(dut.read_out)) == (0, 0), note
            await ctx.tick()
            drive_events(ctx)
            assert (ctx.get(dut.status.valid), ctx.get(dut.read_out)) == (0, 1), note
            await ctx.tick()
            ctx.set(dut.sending, 1)
            for _ in range(rng.randint(1, 9)):
                drive_events(ctx)
                assert (ctx.get(dut.status.valid), ctx.get(dut.read_out)) == (0, 0), note
                await ctx.tick()
            ctx.set(dut.sending, 0)
        else:
            sizes = lost = [0, 0, 0]
            assert (ctx.get(dut.status.valid), ctx.get(dut.read_out)) == (0, 0), note
            await ctx.tick()
        want = {"error": code, "zero_rows": total[-1] & 0xFFFF,
                **{f"k{c}": size for c, size in enumerate(sizes)},
                **{f"overflow{c}": count for c, count in enumerate(lost)},
                **{f"sat_{kind.name.lower()}": total[kind] for kind in Saturation},
                "cycles": 0, "held": waited, "cycles_compress": 0, "cycles_linear": 0}
        if code is ErrorCode.NONE:
            want |= {"cycles": end + tail(CFG), "cycles_compress": key - 1,
                     "cycles_linear": end + tail(CFG) - key + 1 if word["linear"] else query - key}
        for _ in range(rng.randrange(5)):      # the status waits for the host
            ctx.set(dut.status.ready, 0)
            drive_events(ctx)
            assert ctx.get(dut.status.valid) == 1, note
            status = ctx.get(dut.status.payload)
            assert {name: status[name] for name in want} == want, note
            await ctx.tick()
        ctx.set(dut.status.ready, 1)
        status = ctx.get(dut.status.payload)
        assert ctx.get(dut.status.valid) == 1, note
        assert {name: status[name] for name in want} == want, note
        ctx.set(dut.job.valid, 0)
        await ctx.tick()
        ctx.set(dut.status.ready, 0)
        assert ctx.get(dut.status.valid) == 0, note

    simulate(dut, bench, reset)


@pytest.mark.parametrize("seed", range(3))
def test_jobs(seed):
    check(seed)


def one_behind(block=Control):
    """While a job runs the next one waits, and no third is taken; while outputs leave the next runs."""
    dut, words = block(CFG), [{"n": n, "m": n, "set": n % 3} for n in (3, 4, 5)]

    async def bench(ctx):
        async def until(port, limit=200):
            for _ in range(limit):
                if ctx.get(port):
                    return
                await ctx.tick()
            raise AssertionError(f"seed: {port.name} does not come")

        for name, value in (("tokens", CFG.n), ("ended", 0)):
            ctx.set(getattr(dut, name), value)
        ctx.set(dut.job.valid, 1)
        for word in words[:2]:
            ctx.set(dut.job.payload, word)
            await until(dut.job.ready)
            await ctx.tick()
        ctx.set(dut.job.payload, words[2])
        ctx.set(dut.load_offered, 1)           # of the job behind: not before the waiting one starts
        for _ in range(9):
            assert (ctx.get(dut.job.ready), ctx.get(dut.loads), ctx.get(dut.word.n)) == (0, 0, 3), "seed"
            await ctx.tick()
        ctx.set(dut.ended, 1)
        await until(dut.read_out)
        assert ctx.get(dut.word.n) == 3, "seed"
        await ctx.tick()
        ctx.set(dut.sending, 1)
        ctx.set(dut.ended, 0)
        assert (ctx.get(dut.start), ctx.get(dut.word.n)) == (0, 4), "seed: the next one is checked"
        await ctx.tick()
        assert (ctx.get(dut.start), ctx.get(dut.word.n)) == (1, 4), "seed: and starts"
        await ctx.tick()
        assert (ctx.get(dut.job.ready), ctx.get(dut.loads)) == (1, 1), "seed: and another is taken"
        await ctx.tick()
        ctx.set(dut.ended, 1)                  # the second ends before the outputs have left
        for _ in range(tail(CFG) + 9):
            ctx.set(dut.status.ready, 1)
            assert (ctx.get(dut.status.valid), ctx.get(dut.read_out), ctx.get(dut.start)) == (0, 0, 0)
            await ctx.tick()
        ctx.set(dut.sending, 0)
        assert (ctx.get(dut.status.valid), ctx.get(dut.read_out)) == (1, 0), "seed: in turn"
        await ctx.tick()
        assert (ctx.get(dut.status.valid), ctx.get(dut.read_out)) == (0, 1), "seed"
        await ctx.tick()
        await ctx.tick()
        assert (ctx.get(dut.start), ctx.get(dut.word.n)) == (1, 5), "seed"

    simulate(dut, bench)


def test_the_next_job_waits_behind_the_running_one():
    one_behind()


@pytest.mark.parametrize("old, new", [
    ("~waiting & ~self.load_busy", "~self.load_busy"), ("self.loads.eq(~waiting | late)", "self.loads.eq(1)"),
    ("reported & ~self.sending", "reported"), ("with m.If(~reported):", "with m.If(1):"),
    ("free & ~self.take", "~self.take")], ids=str)
def test_mutants_of_the_overlap(old, new):
    method = next(name for name in ("_wait", "_report", "elaborate")
                  if old in inspect.getsource(getattr(Control, name)))
    with pytest.raises(AssertionError):
        one_behind(edited(Control, old, new, method))


@pytest.mark.parametrize("layout, fields", [(JobWord, JOB_FIELDS), (LoadCommand, LOAD_FIELDS),
                                            (StatusWord, STATUS_FIELDS)])
def test_words(layout, fields):
    """The fields of a word stand where software packs them."""
    for name, width in fields:
        ones = pack_fields(fields, {name: -1 if name == "shift_o" else (1 << width) - 1})
        assert ones >> layout[name].offset == (1 << width) - 1 and layout[name].width == width


MUTANTS = {
    "n one too large": ("word.n > cfg.n", "word.n > cfg.n + 1"),
    "capacity in CTA mode": ("exact & ((word.n > most)", "((word.n > most)"),
    "sets not checked": ("word.set >= cfg.sets", "0"),
    "self with m": ("~word.cross & (word.n != word.m)", "0"),
    "load error forgotten": ("(ErrorCode.LOAD, self.load_error)", "(ErrorCode.LOAD, 0)"),
    "both tensors beyond the bank": ("(word.cross & (word.n + word.m > cfg.tokens))", "0"),
    "queries beyond those of exact mode": ("(word.m > most)", "0"),
    "tokens not there": ("> self.tokens", "> self.tokens + 1"),
    "queries not there": ("Mux(word.cross, word.m, 0)", "0"),
    "queries wanted in self-attention": ("Mux(word.cross, word.m, 0)", "word.m"),
    "clusters of another job": ("word.reuse & ~same", "word.reuse & (last.n == 0)"),
    "clusters of a refused job": ("with m.If(self.start):", "with m.If(self.take):"),
    "tokens wanted for clusters": ("~word.reuse & (word.n + ", "(word.n + "),
    "does not wait for loads": ("late.eq(self.load_taken)", "late.eq(0)"),
    "a load that follows is left": ("(self.load_busy | self.load_offered)", "self.load_busy"),
    "read out one early": ("left.eq(tail(cfg) - 2)", "left.eq(tail(cfg) - 3)"),
    "jobs beside a load": ("self.job.ready.eq(~waiting & ~self.load_busy)", "self.job.ready.eq(~waiting)"),
    "linear jobs of clusters": ("(~exact | word.cross |", "(word.cross |"),
    "linear jobs of two tensors": ("(~exact | word.cross |", "(~exact |"),
    "linear to the end": ("in_linear & ~attention", "in_linear"),
    "rows of a linear job as keys": ("Mux(word.linear, cfg.queries, cfg.exact)", "cfg.exact"),
    "last K counts": ("in_compress & linear", "linear"),
    "counts of the job before": ("[report.eq(0), ", "["),
    "waits not counted": ("report.held + held", "report.held"),
    "cycles from the start": ("report.cycles.eq(1)", "report.cycles.eq(0)"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants(name):
    with pytest.raises(AssertionError, match="seed"):
        for seed in range(8):
            check(seed, edited(Control, *MUTANTS[name], next(
                method for method in ("_wait", "_error", "_count", "_report", "elaborate")
                if MUTANTS[name][0] in inspect.getsource(getattr(Control, method)))))
