"""Control: it takes a job, refuses what is illegal, lets tokens in, counts, and reports."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.lookup.words import JobWord, StatusWord
from model.lookup.config import LookupConfig
from model.lookup.job import ErrorCode, Saturation
from model.lookup.layout import HOST_LANES

__all__ = ["Control"]


class Control(wiring.Component):
    """Takes one job at a time: checks it, runs it until its last token has left, sends the status.

    A load that was taken in the cycle in which the job was taken (``load_taken``) goes first, and
    so do those that follow it without a pause: the job waits in its check until no load is under
    way or offered, and ``loads`` lets them in.

    ``x_enable`` opens the token stream for the beats of the job and no more, so that the tokens of
    the next job wait at the port.

    Timing: ``start`` comes one cycle after the job was taken, or when the loads it waits for are
    in. The status comes four cycles after the last y, or three after ``projecting`` has fallen.
    ``cycles`` of the status counts from ``start`` to the transfer of the last beat of y.

    Source: ours; the paper has no hardware.

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
    projecting : A token is inside the projection.
    x_sent : A beat of x is taken in this cycle.
    x_enable : The job has beats of x to come.
    y_token : The last beat of a token of y is taken in this cycle.
    table_beat : The table port delivers a beat in this cycle.
    events[5] : Saturations of this cycle by kind, in the order of ``model.lookup.job.Saturation``.
    """

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        super().__init__({
            "job": In(stream.Signature(JobWord)), "status": Out(stream.Signature(StatusWord)),
            "idle": Out(1), "take": Out(1), "start": Out(1), "word": Out(JobWord),
            "loads": Out(1), "load_error": In(1), "load_busy": In(1), "load_offered": In(1),
            "load_taken": In(1),
            "projecting": In(1), "x_sent": In(1), "x_enable": Out(1), "y_token": In(1),
            "table_beat": In(1),
            "events": In(16).array(len(Saturation)),
        })

    def elaborate(self, platform):
        m = Module()
        cfg, word = self.cfg, self.word
        report = Signal(StatusWord)
        running, x_left, y_left = Signal(), Signal(16 + 9), Signal(16)
        late, checking = Signal(), Signal()
        error = Signal(ErrorCode)
        # Fields are 16 bits wide so that software need not know the formats; not all of it fits.
        mix = cfg.fmt.mix
        unfit = []
        for name in ("gain", "skip"):
            field = word[name].as_signed() if mix.signed else word[name]
            unfit.append(field > mix.max)
            if mix.signed:
                unfit.append(field < mix.min)
        for code, wrong in reversed(((ErrorCode.LOAD, self.load_error),
                                     (ErrorCode.TOKENS, word.tokens == 0),
                                     (ErrorCode.FIELD, Cat(unfit).any()),
                                     *([] if cfg.tile else [(ErrorCode.ORDER, word.order)]))):
            with m.If(wrong):
                m.d.comb += error.eq(code)
        m.d.comb += [self.status.payload.eq(report), self.x_enable.eq(running & (x_left != 0))]

        with m.FSM():
            with m.State("IDLE"):
                # A load under way goes first. What is only offered must not decide on ``ready``.
                m.d.comb += [self.idle.eq(1), self.loads.eq(1), self.job.ready.eq(~self.load_busy)]
                with m.If(self.job.valid & self.job.ready):
                    m.d.sync += [word.eq(self.job.payload), report.eq(0), late.eq(self.load_taken)]
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += [checking.eq(1), self.loads.eq(late),
                             self.take.eq(~(late & (self.load_busy | self.load_offered)))]
                with m.If(self.take):
                    m.d.sync += report.error.eq(error)
                    m.next = "STATUS"
                    with m.If(error == ErrorCode.NONE):
                        m.d.comb += self.start.eq(1)
                        m.d.sync += [running.eq(1), y_left.eq(word.tokens),
                                     x_left.eq(word.tokens * (cfg.d // HOST_LANES))]
                        m.next = "RUN"
            with m.State("RUN"):
                with m.If(self.x_sent):
                    m.d.sync += x_left.eq(x_left - 1)
                with m.If(self.y_token):
                    m.d.sync += y_left.eq(y_left - 1)
                    with m.If(y_left == 1):
                        m.d.sync += running.eq(0)
                        m.next = "SETTLE"
            with m.State("SETTLE"):
                # Elements beyond h*tau give no z, and may saturate after the last y has left.
                with m.If(~self.projecting):
                    m.next = "LAST COUNT"
            with m.State("LAST COUNT"):
                # The count of the last element's saturation may be a cycle late.
                m.next = "LAST SUM"
            with m.State("LAST SUM"):
                m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += self.status.valid.eq(1)
                with m.If(self.status.ready):
                    m.next = "IDLE"

        with m.If(running | self.start):
            m.d.sync += report.cycles.eq(report.cycles + 1)
        with m.If(running & self.table_beat):
            m.d.sync += report.table_bytes.eq(report.table_bytes + cfg.lanes)
        for kind, count in zip(Saturation, self.events):
            # What counts waits in a register: the sum is as long as what finds a saturation.
            total = report[f"sat_{kind.name.lower()}"]
            counted = Signal.like(count, name=f"counted_{kind.name.lower()}")
            m.d.sync += counted.eq(Mux(~self.idle & ~checking, count, 0))
            with m.If(~self.idle):
                m.d.sync += total.eq(total + counted)
        return m
