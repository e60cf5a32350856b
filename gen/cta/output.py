"""Output: it sends O of every token to the host, and the cluster tables on request."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import address_width
from gen.cta.interfaces import TokenLookup
from gen.cta.words import JobWord, beat_width
from model.cta.config import CTAConfig
from model.cta.job import Mode
from model.cta.layout import ELEMENT_WIDTH

__all__ = ["OutputStream", "Beat"]


def Beat(cfg: CTAConfig):
    """One beat of ``out``."""
    return data.StructLayout({"data": beat_width(cfg), "last": 1})


class OutputStream(wiring.Component):
    """After a job it sends for each of m tokens the row of O of its cluster, O_t = O[CT0[t]].

    If the job wants its clusters, it sends the k0 rows of O as they are instead. A linear job has Q in the
    place of O.

    Then, if the job asks for its tables, it sends one beat a token with CT0, CT1 and CT2 in its
    lowest elements, for max(n, m) tokens. ``last`` marks the last beat of the job. The next job may
    run meanwhile.

    The cluster of a row is asked for while the row before it is sent, and the row itself with the last
    beat of that.

    Timing: 2 cycles to the first beat, d/lanes a row, or 2 where that is 1, and 2 a beat of the tables,
    plus the cycles in which the sink is not ready or PAG reads the tables.

    Source: Sec. III-C after eq. 8.

    Members
    -------
    start : The job has computed O.
    job : Word of that job, taken with ``start``.
    k0 : Clusters of LSH0 that the job has, taken with ``start``.
    copy : Copy of the cluster tables that the job has, taken with ``start``.
    lookup : Asks for the clusters of a token.
    row_en : A row of O is asked for.
    row_addr : Row of O that is asked for, a cluster of CT0.
    row[d] : Elements of the row of O, one cycle after ``row_en``, as the bank holds them.
    out : Stream of output beats. Payload :func:`Beat`.
    busy : The output is not complete.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "start": In(1), "job": In(JobWord), "k0": In(cfg.count_width), "copy": In(1),
            "lookup": Out(TokenLookup(cfg)),
            "row_en": Out(1), "row_addr": Out(address_width(cfg.queries)),
            "row": In(cfg.result_width).array(cfg.d),
            "out": Out(stream.Signature(Beat(cfg))), "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        token, group = Signal(cfg.count_width), Signal(range(max(2, cfg.groups)))
        lookup, job = self.lookup, self.job
        rows, longest = Signal(cfg.count_width), Signal(cfg.count_width)
        tables, clusters = Signal(), Signal()
        last_token = token + 1 == rows
        beats = [Cat(_extend(value) for value in self.row[g * cfg.lanes:(g + 1) * cfg.lanes])
                 for g in range(cfg.groups)]
        following, fresh = Signal.like(token), Signal()        # the next row, the first cycle of this one
        m.d.comb += [following.eq(token), lookup.addr.eq(following),
                     self.row_addr.eq(Mux(clusters, following, lookup.ct[0]))]
        m.d.sync += fresh.eq(self.row_en)
        with m.FSM() as fsm:
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [
                        token.eq(0), group.eq(0), tables.eq(job.tables), clusters.eq(job.clusters),
                        rows.eq(Mux(job.clusters, self.k0, job.m)),
                        longest.eq(Mux(job.n > job.m, job.n, job.m)), lookup.copy.eq(self.copy),
                        lookup.identity.eq(job.mode == Mode.EXACT)]
                    m.next = "CLUSTER"
            with m.State("CLUSTER"):
                m.d.comb += lookup.en.eq(1)
                m.next = "ROW"
            with m.State("ROW"):
                m.d.comb += self.row_en.eq(1)
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [
                    self.out.valid.eq(1), self.out.payload.data.eq(Array(beats)[group]),
                    self.out.payload.last.eq(last_token & (group == cfg.groups - 1) & ~tables),
                ]
                m.d.comb += [following.eq(token + 1), lookup.en.eq(fresh & ~last_token)]
                with m.If(self.out.ready):
                    m.d.sync += group.eq(group + 1)
                    with m.If(group == cfg.groups - 1):
                        m.d.sync += [group.eq(0), token.eq(following)]
                        if cfg.groups > 1:
                            m.d.comb += self.row_en.eq(~last_token)
                        else:                # its cluster is just being asked for
                            m.next = "ROW"
                        with m.If(last_token):
                            m.d.sync += token.eq(0)
                            m.next = "IDLE"
                            with m.If(tables):
                                m.next = "TABLE"
            with m.State("TABLE"):
                m.d.comb += [lookup.all.eq(1), lookup.en.eq(lookup.ready)]
                with m.If(lookup.ready):
                    m.next = "SEND TABLE"
            with m.State("SEND TABLE"):
                m.d.comb += [
                    self.out.valid.eq(1), self.out.payload.last.eq(token + 1 == longest),
                    self.out.payload.data.eq(Cat(_unsigned(ct) for ct in lookup.ct)),
                ]
                with m.If(self.out.ready):
                    m.d.sync += token.eq(token + 1)
                    m.next = "TABLE"
                    with m.If(token + 1 == longest):
                        m.next = "IDLE"
        m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
        return m


def _extend(value):
    """Sign-extended to a stream element."""
    return Cat(value, value[-1].replicate(ELEMENT_WIDTH - len(value)))


def _unsigned(value):
    """Zero-extended to a stream element."""
    return Cat(value, Const(0, ELEMENT_WIDTH - len(value)))
