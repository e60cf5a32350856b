"""Claims: they hold back the loads that would overwrite what the running job still reads."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gen.cta.words import JobWord
from model.cta.config import CTAConfig
from model.cta.job import Mode
from model.cta.schedule import Op
from model.cta.timing import issue_delay

__all__ = ["Claim", "Claims"]


class Claim(data.Struct):
    """What a job still reads: its tokens, and of weight set ``set`` the hash functions ``a``, the
    matrices of K and V ``kv``, and the matrix of Q and the parameters ``q``."""

    tokens: 1
    set: 4
    a: 1
    kv: 1
    q: 1


class Claims(wiring.Component):
    """Tells the loader which banks are in use.

    A job that clusters claims its tokens until CAG has all centroids; an exact job until it has
    ended, for they are its centroids, and a linear job until the highest lane has read the last of
    them. A job that clusters claims the hash functions until the linears begin. Every job claims the
    matrices and the parameters until the last row of the last weight has left the highest lane, but
    those of K and V only until its first scores where Q is the last linear, and a linear job those of Q
    alone.

    Timing: a claim stands from the cycle after ``start`` on. It falls when no lane reads any more:
    lanes follow each other, so that the last of a row is read d cycles behind the first.

    Source: ours (docs/decisions/0023-transfers.md).

    Members
    -------
    start : A job starts.
    job : The word of the job.
    op : What the array does in this cycle.
    centroids_done : All centroids of the job are written.
    linears_done : The last slot of the last linear of the job is issued.
    ended : The last slot of the job is issued.
    claim : What the loader must leave alone.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({"start": In(1), "job": In(JobWord), "op": In(Op), "centroids_done": In(1),
                          "linears_done": In(1), "ended": In(1), "claim": Out(Claim)})

    def elaborate(self, platform):
        m = Module()
        claim, job = self.claim, self.job
        exact = job.mode == Mode.EXACT
        climb = self.cfg.d + issue_delay(self.cfg)
        left = Signal(range(climb + 1))

        with m.If(self.centroids_done & ~exact | self.ended & ~job.linear):
            m.d.sync += claim.tokens.eq(0)
        with m.If(self.op == self.cfg.program.phases[0]):
            m.d.sync += claim.a.eq(0)
        behind_all = self.cfg.program.last_linear is not Op.Q       # V comes behind scores
        with m.If(self.op == Op.SCORE):
            m.d.sync += claim.kv.eq(claim.kv & behind_all)
        with m.If(self.linears_done):
            m.d.sync += left.eq(climb)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
            with m.If(left == 1):
                m.d.sync += [claim.q.eq(0), claim.kv.eq(0), claim.tokens.eq(claim.tokens & ~job.linear)]
        with m.If(self.start):
            m.d.sync += [claim.tokens.eq(exact | ~job.reuse), claim.a.eq(~exact & ~job.reuse),
                         claim.kv.eq(~job.linear), claim.q.eq(1), claim.set.eq(job.set), left.eq(0)]
        return m
