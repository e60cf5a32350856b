"""Control: it takes jobs one ahead, refuses what is illegal, counts, and reports."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.cta.words import JobWord, StatusWord
from model.cta.config import CTAConfig
from model.cta.job import ErrorCode, Mode, Saturation
from model.cta.timing import tail

__all__ = ["Control"]

SIZES = ("mode", "cross", "n", "m", "linear")
"""Fields of a job in which one that reuses its clusters must agree."""


class Control(wiring.Component):
    """Runs one job while the next one waits and the outputs of the last one leave.

    A job is taken when none waits and no load is under way. A load that was taken in the same cycle
    (``load_taken``) goes first, and so do those that follow it without a pause; all later ones are
    for the job behind, and wait until this one has started. It is checked when the job before it has
    ended. A job that starts leaves its clusters, and uses the tokens up, unless it reuses clusters.

    When a job has ended and the outputs and the status of the one before have left, its own begin to
    leave, and the next may start. A refused job has its status alone, in its turn.

    ``cycles`` of the status counts from ``start`` to the last O in its bank, ``held`` those of them
    in which the program waited for nothing but the outputs of the job before. The two other counts end
    where the program says that the next phase begins.

    Timing: ``start`` comes two cycles after the job was taken, or one after the loads it waits for are
    in, or two after ``read_out`` of the job before. ``read_out`` comes ``tail`` + 2 cycles after
    the last slot, which is ``tail`` + 1 after ``ended``, or when the sink has taken what was left.

    Source: Table I for the order; words, checks, counts and overlap are ours (docs/programming.md,
    docs/decisions/0023-transfers.md).

    Members
    -------
    job : Stream of jobs. Payload ``JobWord``.
    status : Stream of status words, one a job. Payload ``StatusWord``.
    take : The check of a job ends in this cycle; the loader's error is used up.
    start : A legal job begins to run.
    word : The word of the job that runs or is checked, held until the next.
    loads : The loader may take commands.
    load_error : A load since the last job was refused.
    load_busy : A load is under way.
    load_offered : A load command is offered.
    load_taken : A load command is taken in this cycle.
    token_written : A token is being written.
    tokens : Tokens that are there.
    ended : The program has issued its last slot and none is under way.
    held : A row waits for nothing but the outputs of the job before.
    read_out : The output stream begins.
    sending : Outputs are leaving.
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
            "take": Out(1), "start": Out(1), "word": Out(JobWord),
            "loads": Out(1), "load_error": In(1), "load_busy": In(1), "load_offered": In(1),
            "load_taken": In(1), "token_written": In(1), "tokens": In(range(cfg.tokens + 1)),
            "ended": In(1), "held": In(1), "read_out": Out(1), "sending": In(1),
            "linear_begins": In(1), "attention_begins": In(1),
            "k": In(cfg.count_width).array(3), "overflow": In(cfg.count_width).array(3),
            "zero_rows": In(range(cfg.b + 1)),
            "events": In(range(events + 1)).array(len(Saturation)),
        })

    def elaborate(self, platform):
        m = Module()
        cfg, report = self.cfg, Signal(StatusWord)
        counting = self._count(m, report)
        waiting, settled, free, handed = Signal(), Signal(), Signal(), Signal()
        self._wait(m, waiting, settled, free)
        error, left, reported = Signal(ErrorCode), Signal(range(tail(cfg) + 1)), Signal()
        m.d.sync += error.eq(self._error(m))

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += free.eq(1)
                with m.If(waiting & settled):
                    m.next = "CHECK"
            with m.State("CHECK"):
                # The answer has a cycle of its own: a start goes to every block.
                m.d.comb += self.take.eq(1)
                m.d.sync += [report.eq(0), report.error.eq(error)]
                m.next = "HAND OVER"
                with m.If(error == ErrorCode.NONE):
                    m.d.comb += self.start.eq(1)
                    m.d.sync += [counting.eq(1), report.cycles.eq(1)]
                    m.next = "RUN"
            with m.State("RUN"):
                with m.If(self.ended):
                    m.d.sync += left.eq(tail(cfg) - 2)
                    m.next = "TAIL"
            with m.State("TAIL"):
                m.d.sync += left.eq(left - 1)
                with m.If(left == 0):
                    m.d.sync += [counting.eq(0), *(report[f"k{c}"].eq(self.k[c]) for c in range(3)),
                                 *(report[f"overflow{c}"].eq(self.overflow[c]) for c in range(3))]
                    m.next = "LAST EVENTS"
            with m.State("LAST EVENTS"):
                m.next = "HAND OVER"
            with m.State("HAND OVER"):
                with m.If(~reported):
                    m.d.comb += [self.read_out.eq(report.error == ErrorCode.NONE), free.eq(1),
                                 handed.eq(1)]
                    m.next = "IDLE"
        self._report(m, report, reported, handed)
        return m

    def _wait(self, m, waiting, settled, free):
        """The job that waits, and the loads that it waits for. ``free``: the word may be replaced."""
        taken, late = Signal(), Signal()
        behind = Signal(JobWord)
        m.d.comb += [self.job.ready.eq(~waiting & ~self.load_busy),
                     taken.eq(self.job.valid & self.job.ready),
                     settled.eq(~(late & (self.load_busy | self.load_offered))),
                     self.loads.eq(~waiting | late)]
        with m.If(waiting & settled):
            m.d.sync += late.eq(0)
        with m.If(self.take):
            m.d.sync += waiting.eq(0)
        with m.If(taken):
            m.d.sync += [waiting.eq(1), late.eq(self.load_taken), behind.eq(self.job.payload)]
        with m.If(free & ~self.take):
            m.d.sync += self.word.eq(Mux(taken, self.job.payload, behind))

    def _error(self, m):
        """The answer to the job that is checked."""
        cfg, word = self.cfg, self.word
        # Whose clusters are there. After a reset n is 0, which no legal job has. An exact job has
        # its tokens for clusters.
        last, same = Signal(JobWord), Signal()
        m.d.comb += same.eq(Cat(last[name] == word[name] for name in SIZES).all())
        with m.If(self.token_written & (last.mode == Mode.EXACT)):
            m.d.sync += last.n.eq(0)
        with m.If(self.start):
            m.d.sync += [last[name].eq(word[name]) for name in SIZES]

        error = Signal(ErrorCode)
        exact = word.mode == Mode.EXACT
        most = Mux(word.linear, cfg.queries, cfg.exact)
        for code, wrong in reversed((
                (ErrorCode.LOAD, self.load_error),
                (ErrorCode.TOKENS, (word.n == 0) | (word.n > cfg.n)
                 | (word.m == 0) | (word.m > cfg.n) | (word.cross & (word.n + word.m > cfg.tokens))),
                (ErrorCode.CAPACITY, exact & ((word.n > most) | (word.m > most))),
                (ErrorCode.WEIGHT_SET, word.set >= cfg.sets),
                (ErrorCode.SELF, ~word.cross & (word.n != word.m)),
                (ErrorCode.REUSE, word.reuse & ~same),
                (ErrorCode.LINEAR, word.linear & (~exact | word.cross | (cfg.program.linear is None))),
                (ErrorCode.LOAD, ~word.reuse & (word.n + Mux(word.cross, word.m, 0) > self.tokens)))):
            with m.If(wrong):
                m.d.comb += error.eq(code)
        return error

    def _count(self, m, report):
        """What is counted while the signal that this gives is high."""
        counting, in_compress, in_linear = Signal(), Signal(), Signal()
        with m.If(self.start):
            m.d.sync += [in_compress.eq(1), in_linear.eq(0)]
        # Events are added a cycle later than they come: they are sums of many flags.
        held, zero_rows, *events = (delay(m, count, 1) for count in (
            self.held, self.zero_rows, *self.events))
        late = delay(m, counting, 1, reset=True)
        with m.If(late):
            m.d.sync += [report.held.eq(report.held + held),
                         report.zero_rows.eq(report.zero_rows + zero_rows)]
            for kind, count in zip(Saturation, events):
                total = report[f"sat_{kind.name.lower()}"]
                m.d.sync += total.eq(total + count)
        with m.If(counting):
            m.d.sync += report.cycles.eq(report.cycles + 1)
        # So are the phases, whose begin comes from the program.
        cycles = delay(m, report.cycles, 1)
        linear, attention = (delay(m, counting & begins, 1, reset=True, name=name) for name, begins in (
            ("linear", self.linear_begins), ("attention", self.attention_begins)))
        begins = in_compress & linear
        with m.If(begins):
            m.d.sync += [in_compress.eq(0), in_linear.eq(1), report.cycles_compress.eq(cycles)]
        with m.If(attention):
            m.d.sync += in_linear.eq(0)
        # That of a linear job lasts to its end.
        with m.If(late & (begins | in_linear & ~attention)):
            m.d.sync += report.cycles_linear.eq(report.cycles_linear + 1)
        return counting

    def _report(self, m, report, reported, handed):
        """The status of the job before, which leaves behind its outputs. ``reported``: it is there."""
        status = Signal(StatusWord)
        m.d.comb += [self.status.valid.eq(reported & ~self.sending), self.status.payload.eq(status)]
        with m.If(self.status.valid & self.status.ready):
            m.d.sync += reported.eq(0)
        with m.If(handed):
            m.d.sync += [reported.eq(1), status.eq(report)]
