"""Control: it takes a job, refuses what is illegal, counts, and reports."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.cta.words import JobWord, StatusWord
from model.cta.config import CTAConfig
from model.cta.job import ErrorCode, Mode, Saturation
from model.cta.timing import tail

__all__ = ["Control"]

SIZES = ("mode", "cross", "n", "m")
"""Fields of a job in which one that reuses its clusters must agree."""


class Control(wiring.Component):
    """Takes one job at a time: checks it, runs it, has O sent, sends the status.

    A refused job goes straight to its status. A load that was taken in the cycle in which the job
    was taken (``load_taken``) goes first, and so do those that follow it without a pause: the job
    waits in its check until no load is under way or offered, and ``loads`` lets them in. A job that
    starts uses the tokens up and leaves its clusters; one that reuses them needs no tokens.

    ``cycles`` of the status counts from ``start`` to the last O in its bank. The two other counts
    end where the program says that the next phase begins.

    Timing: ``start`` comes one cycle after the job was taken, or when the loads it waits for are
    in. ``read_out`` comes ``tail`` cycles after the last slot, which is ``tail`` - 1 after
    ``ended``.

    Source: Table I for the order; words, checks and counts are ours (docs/programming.md).

    Members
    -------
    job : Stream of jobs. Payload ``JobWord``.
    status : Stream of status words, one a job. Payload ``StatusWord``.
    idle : No job is under way.
    take : The check of a job ends in this cycle; the loader's error is used up.
    start : A legal job begins to run.
    word : The word of the job, held until the next.
    loads : The loader may take commands.
    load_error : A load since the last job was refused.
    load_busy : A load is under way.
    load_offered : A load command is offered.
    load_taken : A load command is taken in this cycle.
    rows : Tokens that are there.
    ended : The program has issued its last slot and none is under way.
    read_out : The output stream may begin.
    out_done : The last beat of the output is taken.
    linear_begins : A slot is issued of the operation that begins the phase linear.
    attention_begins : A slot is issued of the operation that begins the phase attention.
    k[3] : Clusters of LSH0, LSH1, LSH2.
    overflow[3] : Tokens of LSH0, LSH1, LSH2 that found a layer full.
    zero_rows : Queries found in this cycle whose sum of probabilities is zero.
    events[7] : Saturations of this cycle by kind, in the order of ``model.cta.job.Saturation``.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        events = max(2 * cfg.d, cfg.pag, 2 * cfg.b)
        super().__init__({
            "job": In(stream.Signature(JobWord)), "status": Out(stream.Signature(StatusWord)),
            "idle": Out(1), "take": Out(1), "start": Out(1), "word": Out(JobWord),
            "loads": Out(1), "load_error": In(1), "load_busy": In(1), "load_offered": In(1),
            "load_taken": In(1), "rows": In(range(cfg.tokens + 1)),
            "ended": In(1), "read_out": Out(1),
            "out_done": In(1), "linear_begins": In(1), "attention_begins": In(1),
            "k": In(cfg.count_width).array(3), "overflow": In(cfg.count_width).array(3),
            "zero_rows": In(range(cfg.b + 1)),
            "events": In(range(events + 1)).array(len(Saturation)),
        })

    def elaborate(self, platform):
        m = Module()
        cfg, status, word = self.cfg, self.status.payload, self.word
        counting, in_compress, before_attention = Signal(), Signal(), Signal()
        late = Signal()
        report = Signal(StatusWord)
        left = Signal(range(tail(cfg) + 1))

        # Whose clusters are there. After a reset n is 0, which no legal job has.
        last, same = Signal(JobWord), Signal()
        m.d.comb += same.eq(Cat(last[name] == word[name] for name in SIZES).all())
        with m.If(self.start):
            m.d.sync += [last[name].eq(word[name]) for name in SIZES]

        error = Signal(ErrorCode)
        exact = word.mode == Mode.EXACT
        for code, wrong in reversed((
                (ErrorCode.LOAD, self.load_error),
                (ErrorCode.TOKENS, (word.n == 0) | (word.n > cfg.n)
                 | (word.m == 0) | (word.m > cfg.n) | (word.cross & (word.n + word.m > cfg.tokens))),
                (ErrorCode.CAPACITY, exact & ((word.n > cfg.exact) | (word.m > cfg.exact))),
                (ErrorCode.WEIGHT_SET, word.set >= cfg.sets),
                (ErrorCode.SELF, ~word.cross & (word.n != word.m)),
                (ErrorCode.REUSE, word.reuse & ~same),
                (ErrorCode.LOAD, ~word.reuse & (word.n + Mux(word.cross, word.m, 0) > self.rows)))):
            with m.If(wrong):
                m.d.comb += error.eq(code)

        with m.FSM():
            with m.State("IDLE"):
                # A load under way goes first. What is only offered must not decide on ``ready``.
                m.d.comb += [self.idle.eq(1), self.loads.eq(1), self.job.ready.eq(~self.load_busy)]
                with m.If(self.job.valid & self.job.ready):
                    m.d.sync += [word.eq(self.job.payload), report.eq(0), late.eq(self.load_taken)]
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += [self.loads.eq(late),
                             self.take.eq(~(late & (self.load_busy | self.load_offered)))]
                with m.If(self.take):
                    m.d.sync += report.error.eq(error)
                    m.next = "STATUS"
                    with m.If(error == ErrorCode.NONE):
                        m.d.comb += self.start.eq(1)
                        m.d.sync += [counting.eq(1), in_compress.eq(1), before_attention.eq(1)]
                        m.next = "RUN"
            with m.State("RUN"):
                with m.If(self.ended):
                    m.d.sync += left.eq(tail(cfg) - 2)
                    m.next = "TAIL"
            with m.State("TAIL"):
                m.d.sync += left.eq(left - 1)
                with m.If(left == 0):
                    m.d.comb += self.read_out.eq(1)
                    m.d.sync += [counting.eq(0), *(report[f"k{c}"].eq(self.k[c]) for c in range(3)),
                                 *(report[f"overflow{c}"].eq(self.overflow[c]) for c in range(3))]
                    m.next = "OUT"
            with m.State("OUT"):
                with m.If(self.out_done):
                    m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += self.status.valid.eq(1)
                with m.If(self.status.ready):
                    m.next = "IDLE"

        # What is counted.
        with m.If(counting | self.start):
            m.d.sync += report.cycles.eq(report.cycles + 1)
        with m.If(counting):
            m.d.sync += report.zero_rows.eq(report.zero_rows + self.zero_rows)
            for kind, count in zip(Saturation, self.events):
                total = report[f"sat_{kind.name.lower()}"]
                m.d.sync += total.eq(total + count)
            with m.If(in_compress & self.linear_begins):
                m.d.sync += [in_compress.eq(0), report.cycles_compress.eq(report.cycles)]
            with m.If(before_attention & self.attention_begins):
                m.d.sync += [before_attention.eq(0),
                             report.cycles_linear.eq(report.cycles - report.cycles_compress)]
        m.d.comb += status.eq(report)
        return m
