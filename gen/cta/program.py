"""Program: the schedule of the array and the sequencer that issues it."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.cta.interfaces import ClusterCounts
from gen.cta.schedule import Schedule
from gen.cta.sequencer import Sequencer, Slot
from gen.cta.words import JobWord
from gen.emit import place
from model.cta.config import CTAConfig
from model.cta.layout import TraceOp
from model.cta.schedule import Op

__all__ = ["Program"]


class Program(wiring.Component):
    """Runs the program of a job: from its start, row by row, to the slots of the array.

    The cut is where the program ends and time begins: all that Table I says is in here, and what
    leaves is one slot a cycle. Another program, e.g. of a whole layer, is other rows in here; how
    the parts of a slot reach the edges of the array is left to :class:`gen.cta.dispatch.Dispatch`.

    Timing: the first slot comes two cycles after ``start`` at the earliest. ``ended`` is high from
    the cycle after the last slot on. There is no back-pressure: nothing behind a slot can stall.
    Reset and ``start`` drop what is under way.

    Source: Table I, Sec. V-B, Fig. 10.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    start : A job starts.
    job : The word of the job, held while it runs.
    clusters : Clusters of the job.
    c1_done : All rows of C1 are written.
    centroids_done : All centroids are written; the borrowed columns are free.
    ap_done : The probabilities of a batch are complete.
    outputs_free : The outputs of the job before have left.
    held : The next row waits for that alone.
    linears_done : The last slot of the last linear is issued.
    slot : What the array does in this cycle.
    ended : The last slot of the job has been issued.
    turn : Parity of this cycle, counted from the job's first. A token of the same parity as the cycle of
        its slot is never hashed.
    activity : Use of the array in this cycle, for the trace.
    """

    module_name = "cta_program"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "start": In(1), "job": In(JobWord), "clusters": In(ClusterCounts(cfg)),
            "c1_done": In(1), "centroids_done": In(1), "ap_done": In(1),
            "outputs_free": In(1), "held": Out(1), "linears_done": Out(1),
            "slot": Out(Slot(cfg)), "ended": Out(1), "turn": Out(1), "activity": Out(TraceOp)})

    def elaborate(self, platform):
        m = Module()
        schedule, sequencer = Schedule(self.cfg), Sequencer(self.cfg)
        m.submodules.schedule = place(platform, schedule)
        m.submodules.sequencer = place(platform, sequencer)
        slot, clusters = sequencer.slot, self.clusters
        wiring.connect(m, schedule.rows, sequencer.rows)
        program = self.cfg.program
        last_linear = (slot.op == program.last_linear) | (slot.op == Op.Q) & self.job.linear
        m.d.sync += self.turn.eq(~self.turn & ~self.start)
        m.d.comb += [
            sequencer.turn.eq(self.turn), schedule.start.eq(self.start), sequencer.stop.eq(self.start),
            schedule.job.eq(self.job), schedule.k0.eq(clusters.k0), schedule.k1.eq(clusters.k1),
            schedule.k.eq(clusters.k), schedule.c1_done.eq(self.c1_done),
            schedule.centroids_done.eq(self.centroids_done), schedule.ap_done.eq(self.ap_done),
            schedule.out_issued.eq((slot.op == Op.OUT) & slot.last),
            schedule.outputs_free.eq(self.outputs_free), self.held.eq(schedule.held),
            *([schedule.query_issued.eq((slot.op == Op.Q) & slot.first & slot.final),
               schedule.value_issued.eq((slot.op == Op.V) & slot.first & slot.final)]
              if self.cfg.program.weights_stay else []),
            self.linears_done.eq(last_linear & slot.last & slot.final),
            self.slot.eq(slot), self.ended.eq(schedule.ended & ~sequencer.busy),
            self.activity.eq(sequencer.activity),
        ]
        return m
