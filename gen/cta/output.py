"""Output: it sends O of every token to the host, and the cluster tables on request."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import address_width
from gen.cta.words import beat_width
from model.cta.config import CTAConfig
from model.cta.layout import ELEMENT_WIDTH

__all__ = ["OutputStream", "Beat"]


def Beat(cfg: CTAConfig):
    """One beat of ``out``."""
    return data.StructLayout({"data": beat_width(cfg), "last": 1})


class OutputStream(wiring.Component):
    """After a job it sends for each of m tokens the row of O of its cluster, O_t = O[CT0[t]].

    Then, if the job asks for its tables, it sends one beat a token with CT0, CT1 and CT2 in its
    lowest elements, for max(n, m) tokens. ``last`` marks the last beat of the job.

    Timing: d/lanes + 2 cycles a token, plus the cycles in which the sink is not ready.

    Source: Sec. III-C after eq. 8.

    Members
    -------
    start : The job has computed O.
    n : Tokens of the key and value tensor.
    m : Tokens of the query tensor, which are the rows of the output.
    tables : The cluster tables follow.
    ct_en : The clusters of a token are asked for.
    ct_addr : Token whose clusters are asked for.
    ct[3] : Clusters of the token in CT0, CT1, CT2, one cycle after ``ct_en``.
    row_en : A row of O is asked for.
    row_addr : Row of O that is asked for, a cluster of CT0.
    row[d] : Elements of the row of O, one cycle after ``row_en``. Format ``fmt.output``.
    out : Stream of output beats. Payload :func:`Beat`.
    busy : The output is not complete.
    done : The last beat is taken.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        index = cfg.token_id_width
        super().__init__({
            "start": In(1), "n": In(cfg.count_width), "m": In(cfg.count_width), "tables": In(1),
            "ct_en": Out(1), "ct_addr": Out(index), "ct": In(index).array(3),
            "row_en": Out(1), "row_addr": Out(address_width(cfg.queries)),
            "row": In(cfg.fmt.output.width).array(cfg.d),
            "out": Out(stream.Signature(Beat(cfg))), "busy": Out(1), "done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        token, group = Signal(cfg.count_width), Signal(range(max(2, cfg.groups)))
        longest = Mux(self.n > self.m, self.n, self.m)
        last_token = token + 1 == self.m
        beats = [Cat(_extend(value) for value in self.row[g * cfg.lanes:(g + 1) * cfg.lanes])
                 for g in range(cfg.groups)]
        m.d.comb += [self.ct_addr.eq(token), self.row_addr.eq(self.ct[0])]
        with m.FSM() as fsm:
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [token.eq(0), group.eq(0)]
                    m.next = "CLUSTER"
            with m.State("CLUSTER"):
                m.d.comb += self.ct_en.eq(1)
                m.next = "ROW"
            with m.State("ROW"):
                m.d.comb += self.row_en.eq(1)
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [
                    self.out.valid.eq(1), self.out.payload.data.eq(Array(beats)[group]),
                    self.out.payload.last.eq(last_token & (group == cfg.groups - 1) & ~self.tables),
                ]
                with m.If(self.out.ready):
                    m.d.sync += group.eq(group + 1)
                    with m.If(group == cfg.groups - 1):
                        m.d.sync += [group.eq(0), token.eq(token + 1)]
                        m.next = "CLUSTER"
                        with m.If(last_token):
                            m.d.sync += token.eq(0)
                            m.next = "IDLE"
                            with m.If(self.tables):
                                m.next = "TABLE"
                            with m.Else():
                                m.d.comb += self.done.eq(1)
            with m.State("TABLE"):
                m.d.comb += self.ct_en.eq(1)
                m.next = "SEND TABLE"
            with m.State("SEND TABLE"):
                m.d.comb += [
                    self.out.valid.eq(1), self.out.payload.last.eq(token + 1 == longest),
                    self.out.payload.data.eq(Cat(_unsigned(ct) for ct in self.ct)),
                ]
                with m.If(self.out.ready):
                    m.d.sync += token.eq(token + 1)
                    m.next = "TABLE"
                    with m.If(token + 1 == longest):
                        m.d.comb += self.done.eq(1)
                        m.next = "IDLE"
        m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
        return m


def _extend(value):
    """Sign-extended to a stream element."""
    return Cat(value, value[-1].replicate(ELEMENT_WIDTH - len(value)))


def _unsigned(value):
    """Zero-extended to a stream element."""
    return Cat(value, Const(0, ELEMENT_WIDTH - len(value)))
